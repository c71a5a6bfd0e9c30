// The drawing of one row: what lies within the view, as SVG. Shapes differ as well as colours.
const SHAPES = {
  step: (x, y) => `<circle cx="${x}" cy="${y}" r="4.5"`,
  note: (x, y) => `<circle cx="${x}" cy="${y}" r="2.8"`,
  action: (x, y) => `<path d="M${x} ${y - 6}l6 6-6 6-6-6z"`,
  security: (x, y) => `<path d="M${x} ${y - 6}l6.5 11h-13z"`,
  failure: (x, y) => `<path d="M${x - 5} ${y - 5}l10 10m0-10l-10 10"`,
  apdu: (x, y) => `<path d="M${x} ${y - 6}v12"`,
  artefact: (x, y) => `<path d="M${x - 4} ${y - 5}h5l3 3v7h-8z"`,
};
/** The look of a screen is that of what it shows. */
const LOOK = {
  idle: 'quiet', arrived: 'amber', held: 'amber', overdue: 'amber', 'certificate-changed': 'amber',
  pin: 'blue', checking: 'blue', diagnosis: 'blue',
  'press-receive': 'green', receiving: 'green', done: 'green', ready: 'green', sending: 'green', sent: 'green', delivered: 'green',
};
const lookOf = (event) => LOOK[event.more[0]] || 'red';
/** 9000 and 61xx are what a card says when all is well. */
const cardRefused = (event) => event.kind === 'apdu' && event.more !== 0x9000 && event.more >> 8 !== 0x61;

const DRAW = {
  marks: (row, view) => {
    const shown = [];
    for (const event of row.events) {
      const x = view.x(event.at);
      if (x < -8 || x > view.width + 8) continue;
      const last = shown[shown.length - 1];
      // What falls on one place and looks the same is one mark.
      if (last && x - last.x < 1.2 && last.event.kind === event.kind) continue;
      shown.push({ x: Math.round(x * 10) / 10, event });
    }
    let out = '';
    shown.forEach(({ x, event }, place) => {
      const next = place + 1 < shown.length ? shown[place + 1].x : view.width;
      const refused = cardRefused(event) ? ' refused' : '';
      const shape = (SHAPES[event.kind] || SHAPES.note)(x, row.y + row.height / 2);
      out += `${shape} class="mark ${event.kind}${refused}" data-i="${event.index}"/>`;
      const words = next - x > 46 ? fitting([signOf(event), event.text].filter(Boolean).join(' '), next - x - 20) : '';
      if (words) out += `<text x="${x + 9}" y="${row.y + row.height / 2 + 4}" class="words" data-i="${event.index}">${esc(words)}</text>`;
    });
    return out;
  },

  /** A square wave: the lamp's level, or the buzzer's pitch as its height. */
  wave: (row, view) => {
    const floor = row.y + row.height - 4;
    const level = ({ more }) => (more === true ? 1 : more === null || more === false ? 0 : more === 0 ? 0.7 : Math.min(1, 0.35 + more / 4000));
    const before = row.events.filter((event) => event.at <= view.from).pop();
    let path = `M0 ${floor}V${floor - (before ? level(before) : 0) * (row.height - 8)}`;
    let words = '';
    const inside = row.events.filter((event) => event.at > view.from && event.at <= view.to);
    inside.forEach((event, place) => {
      const x = Math.round(view.x(event.at) * 10) / 10;
      path += `H${x}V${floor - level(event) * (row.height - 8)}`;
      const next = place + 1 < inside.length ? view.x(inside[place + 1].at) : view.width;
      const said = level(event) > 0 ? fitting(event.text, next - x - 8) : '';
      if (said) words += `<text x="${x + 4}" y="${floor - 3}" class="words">${esc(said)}</text>`;
    });
    const hits = inside.map((event) => `<rect x="${view.x(event.at) - 3}" y="${row.y}" width="6" height="${row.height}" class="hit" data-i="${event.index}"/>`);
    return `<path class="wave ${row.label}" d="${path}H${view.width}V${floor}Z"/>${words}${hits.join('')}`;
  },

  screens: (row, view) => {
    let out = '';
    row.events.forEach((event, place) => {
      const from = Math.max(-2, view.x(event.at));
      const to = Math.min(view.width + 2, place + 1 < row.events.length ? view.x(row.events[place + 1].at) : view.width + 2);
      if (to < 0 || from > view.width || to - from < 0.3) return;
      const height = row.height - 6;
      const [name, picture] = event.more;
      const rect = `x="${from.toFixed(1)}" y="${row.y + 3}" width="${(to - from).toFixed(1)}" height="${height}"`;
      out += `<rect ${rect} class="shown ${lookOf(event)}" data-i="${event.index}"/>`;
      let left = from + 5;
      if (picture !== null && to - from > 18) {
        const width = Math.min((height * 16) / 9, to - from - 1);
        out += pictureIn(picture, `x="${from + 0.5}" y="${row.y + 3}" width="${width}" height="${height}"`, event.index);
        left = from + width + 5;
      }
      const words = fitting(name, to - left - 4);
      if (words.length > 2) out += `<text x="${left}" y="${row.y + row.height / 2 + 4}" class="words on ${lookOf(event)}" data-i="${event.index}">${esc(words)}</text>`;
    });
    return out;
  },

  wires: (row, view) => {
    let out = '';
    for (const wire of row.events) {
      const from = view.x(wire.from);
      const to = Math.max(from + 3, view.x(wire.to));
      if (to < 0 || from > view.width) continue;
      const y = row.y + 4 + wire.row * 15;
      const left = Math.max(0, from);
      out += `<rect x="${from.toFixed(1)}" y="${y}" width="${(to - from).toFixed(1)}" height="12" rx="2" class="wire" data-w="${wire.number}"/>`;
      let last = -9;
      for (const line of wire.lines) {
        const x = view.x(line.at);
        if (x - last < 3 || x < 0 || x > view.width) continue;
        last = x;
        out += `<path d="M${x.toFixed(1)} ${y + (line.more[1] ? 1 : 6)}v5" class="line${line.more[1] ? ' out' : ''}" data-i="${line.index}"/>`;
      }
      const words = fitting(`${wire.client} → ${wire.server}`, Math.min(to, view.width) - left - 6);
      if (words.length > 8) out += `<text x="${left + 4}" y="${y + 10}" class="words small" data-w="${wire.number}">${esc(words)}</text>`;
    }
    return out;
  },

  chapters: (row, view) => {
    let out = '';
    row.events.forEach((event, place) => {
      const from = view.x(event.at);
      const to = place + 1 < row.events.length ? view.x(row.events[place + 1].at) : view.width;
      if (to < 0 || from > view.width) return;
      const left = Math.max(0, from);
      out += `<path d="M${from.toFixed(1)} ${row.y}V${view.height}" class="chapter"/>`;
      out += `<text x="${left + 4}" y="${row.y + 14}" class="words strong" data-i="${event.index}">${esc(fitting(event.text, to - left - 8))}</text>`;
    });
    return out;
  },
};
