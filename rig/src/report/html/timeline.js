// The timeline of a scenario: rows on one axis; zoomed by wheel, buttons and keys, moved by dragging.
const HEAD = 22;
const GROUP = 20;
/** Nobody looks closer than a tenth of a millisecond. */
const NEAREST = 100;

const tip = h('div', { class: 'tip', hidden: true });
document.body.append(tip);

const makeTimeline = (model, select) => {
  const rows = rowsOf(model);
  let y = HEAD;
  let group = '';
  const labels = h('div', { class: 'labels', 'aria-hidden': 'true' });
  for (const row of rows) {
    if (row.group !== group) {
      labels.append(h('b', { style: `top:${y}px` }, row.group));
      y += GROUP;
      group = row.group;
      row.first = true;
    }
    row.y = y;
    y += row.height;
    labels.append(h('span', { style: `top:${row.y}px;height:${row.height}px;line-height:${row.height}px`, title: row.label }, row.label));
  }
  const height = y + 4;
  labels.style.height = `${height}px`;
  const plot = document.createElementNS(SVG, 'svg');
  for (const [key, value] of Object.entries({
    class: 'plot', height, tabindex: 0, role: 'application',
    'aria-label': 'Timeline. Plus and minus zoom, left and right move, up and down go from event to event, Enter shows one in the story, 0 shows all.',
  })) plot.setAttribute(key, value);
  const thumb = h('span');
  const overview = h('div', { class: 'overview', 'aria-hidden': 'true' }, thumb);
  const readout = h('p', { class: 'readout', 'aria-live': 'polite' });
  const range = h('span', { class: 'range' });

  // Before the first event nothing is to be seen.
  const first = model.events.length ? model.events[0].at : 0;
  const margin = (model.end - first) * 0.02 + NEAREST;
  const [begin, end] = [Math.max(0, first - margin), model.end + margin];
  const whole = end - begin;
  const view = { from: begin, to: end, height };
  let chosen = -1;
  let queued = false;

  const draw = () => {
    queued = false;
    const width = plot.clientWidth || plot.parentElement?.clientWidth || 0;
    if (!width) return;
    view.width = width;
    const scale = width / (view.to - view.from);
    view.x = (at) => (at - view.from) * scale;
    let out = grid(view, rows);
    if (chosen >= 0) {
      const x = view.x(model.events[chosen].at).toFixed(1);
      out += `<path d="M${x} ${HEAD}V${height}" class="chosen"/>`;
    }
    for (const row of rows) out += `<g>${DRAW[row.kind](row, view)}</g>`;
    plot.innerHTML = out;
    if (chosen >= 0) plot.querySelector(`[data-i="${chosen}"]`)?.classList.add('is-chosen');
    plot.dataset.from = Math.round(view.from);
    plot.dataset.to = Math.round(view.to);
    thumb.style.left = `${((view.from - begin) / whole) * 100}%`;
    thumb.style.width = `${Math.max(0.5, ((view.to - view.from) / whole) * 100)}%`;
    range.textContent = `${seconds(view.from)} – ${seconds(Math.min(view.to, model.end))}`;
  };
  const redraw = () => {
    if (!queued) requestAnimationFrame(draw);
    queued = true;
  };
  const show = (from, span) => {
    const wide = Math.min(whole, Math.max(NEAREST, span));
    view.from = Math.min(end - wide, Math.max(begin, from));
    view.to = view.from + wide;
    redraw();
  };
  /** Zooms; what is at `place` (0 left, 1 right) stays where it is. */
  const zoom = (factor, place = 0.5) => {
    const span = view.to - view.from;
    const wide = Math.min(whole, Math.max(NEAREST, span * factor));
    show(view.from + place * (span - wide), wide);
  };
  const pan = (share) => show(view.from + share * (view.to - view.from), view.to - view.from);

  const choose = (index, quiet) => {
    const event = model.events[index];
    if (!event) return;
    chosen = index;
    const span = view.to - view.from;
    if (event.at < view.from || event.at > view.to) show(event.at - span / 2, span);
    readout.replaceChildren(...describe(event));
    redraw();
    if (!quiet) select(event);
  };

  plot.addEventListener('keydown', (key) => {
    const next = (step) => choose(chosen < 0 ? 0 : Math.min(model.events.length - 1, Math.max(0, chosen + step)), true);
    const keys = {
      '+': () => zoom(0.6), '=': () => zoom(0.6), '-': () => zoom(1 / 0.6), 0: () => show(begin, whole), Home: () => pan(-1e9), End: () => pan(1e9),
      ArrowLeft: () => pan(-0.15), ArrowRight: () => pan(0.15), ArrowUp: () => next(-1), ArrowDown: () => next(1),
      Enter: () => chosen >= 0 && select(model.events[chosen], true),
    };
    if (!keys[key.key] || key.ctrlKey || key.metaKey || key.altKey) return;
    key.preventDefault();
    keys[key.key]();
  });
  plot.addEventListener('wheel', (wheel) => {
    // Somebody who scrolls the page is not caught here: the wheel zooms where one has clicked, or with Ctrl.
    const focused = document.activeElement === plot;
    if (Math.abs(wheel.deltaX) > Math.abs(wheel.deltaY) || (wheel.shiftKey && focused)) {
      wheel.preventDefault();
      pan((wheel.deltaX || wheel.deltaY) / view.width);
    } else if (focused || wheel.ctrlKey || wheel.metaKey) {
      wheel.preventDefault();
      zoom(1.0015 ** wheel.deltaY, (wheel.clientX - plot.getBoundingClientRect().left) / view.width);
    }
  }, { passive: false });
  plot.addEventListener('dblclick', (click) => zoom(0.4, (click.clientX - plot.getBoundingClientRect().left) / view.width));

  // One pointer drags, two pinch.
  const pointers = new Map();
  let moved = 0;
  plot.addEventListener('pointerdown', (pointer) => {
    pointers.set(pointer.pointerId, pointer.clientX);
    moved = 0;
  });
  addEventListener('pointermove', (pointer) => {
    const before = pointers.get(pointer.pointerId);
    if (before === undefined) return;
    const spread = () => Math.max(20, Math.abs([...pointers.values()].reduce((a, b) => a - b)));
    const was = pointers.size === 2 ? spread() : 0;
    pointers.set(pointer.pointerId, pointer.clientX);
    moved += Math.abs(pointer.clientX - before);
    if (pointers.size === 2) zoom(was / spread());
    else if (moved > 4) pan((before - pointer.clientX) / view.width);
  });
  for (const name of ['pointerup', 'pointercancel']) addEventListener(name, (pointer) => pointers.delete(pointer.pointerId));
  plot.addEventListener('click', (click) => {
    const { i, w } = click.target.dataset;
    if (moved > 4) return;
    if (i !== undefined) choose(+i);
    else if (w !== undefined) select({ wire: +w });
  });
  plot.addEventListener('pointermove', (pointer) => {
    const { i, w } = pointer.target.dataset;
    tip.hidden = i === undefined && w === undefined;
    if (tip.hidden) return;
    const wire = w !== undefined && model.connections.find((connection) => connection.number === +w);
    tip.replaceChildren(...(wire ? [h('b', {}, wire.lane.toUpperCase()), ` ${wire.client} → ${wire.server}, ${wire.lines.length} lines, ${seconds(wire.from)}`] : describe(model.events[i])));
    tip.style.left = `${Math.max(8, Math.min(innerWidth - tip.offsetWidth - 8, pointer.clientX + 14))}px`;
    tip.style.top = `${pointer.clientY + 18 + tip.offsetHeight > innerHeight ? pointer.clientY - tip.offsetHeight - 12 : pointer.clientY + 18}px`;
  });
  plot.addEventListener('pointerleave', () => { tip.hidden = true; });
  const slide = (pointer) => {
    if (!(pointer.buttons & 1)) return;
    const box = overview.getBoundingClientRect();
    const span = view.to - view.from;
    show(begin + ((pointer.clientX - box.left) / box.width) * whole - span / 2, span);
  };
  overview.addEventListener('pointerdown', (pointer) => { overview.setPointerCapture(pointer.pointerId); slide(pointer); });
  overview.addEventListener('pointermove', slide);

  const button = (name, label, act) => h('button', { class: name, 'aria-label': label, title: label, onclick: act });
  const tools = h('p', { class: 'tools' },
    button('zoom-in', 'Zoom in', () => zoom(0.5)), button('zoom-out', 'Zoom out', () => zoom(2)), button('zoom-all', 'Show all', () => show(begin, whole)),
    button('pan-left', 'Earlier', () => pan(-0.4)), button('pan-right', 'Later', () => pan(0.4)), range,
    h('span', { class: 'hint' }, 'click into it, then: wheel or + − zoom, ← → or drag move, ↑ ↓ from event to event'));
  const element = h('div', { class: 'timeline' }, tools, h('div', { class: 'field' }, labels, plot), overview, readout, legend());
  new ResizeObserver(redraw).observe(plot);
  return { element, choose };
};

/** The axis: round steps, a hundred pixels or more apart, and a line above each group. */
const grid = (view, rows) => {
  const rough = ((view.to - view.from) / view.width) * 110;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough) || rough;
  const label = (at) => (step >= 1e5 ? `${(at / 1e6).toFixed(step >= 1e6 ? 0 : 1)} s` : `${(at / 1e3).toFixed(step >= 1e3 ? 0 : step >= 100 ? 1 : 2)} ms`);
  let out = '';
  for (let at = Math.ceil(view.from / step) * step; at <= view.to; at += step) {
    const x = view.x(at).toFixed(1);
    out += `<path d="M${x} ${HEAD - 4}V${view.height}" class="grid"/><text x="${+x + 3}" y="13" class="tick">${label(at)}</text>`;
  }
  for (const row of rows) if (row.first) out += `<path d="M0 ${row.y - GROUP}H${view.width}" class="grid strong"/>`;
  return out;
};

/** An event in words. */
const describe = (event) => [
  h('span', { class: 'num' }, seconds(event.at)), ' ', h('b', {}, event.host), ' ', h('span', { class: 'dim' }, event.lane), ' ',
  signOf(event) ? h('span', { class: `sign ${event.kind}` }, signOf(event) + ' ') : null, event.text,
].filter(Boolean);

const legend = () => {
  const item = (kind, words, more = '') => {
    const svg = document.createElementNS(SVG, 'svg');
    svg.setAttribute('width', 16);
    svg.setAttribute('height', 16);
    svg.innerHTML = `${SHAPES[kind](8, 8)} class="mark ${kind}${more}"/>`;
    return h('span', {}, svg, words);
  };
  return h('p', { class: 'legend' }, item('step', 'numbered step'), item('note', 'note'), item('action', 'what a person does'), item('apdu', 'card command'),
    item('apdu', 'refused by the card', ' refused'), item('security', 'security event'), item('failure', 'failure'), item('artefact', 'file'));
};
