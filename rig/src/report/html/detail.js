// What opens under a scenario's line: timeline, screens, story, wires, mails, files.
const lightbox = (() => {
  const image = h('div', { class: 'large' });
  const words = h('p', { class: 'words' });
  const caption = h('p', { class: 'caption' });
  let shots = [];
  let place = 0;
  const step = (by) => { place = (place + by + shots.length) % shots.length; show(); };
  const show = () => {
    const shot = shots[place];
    image.hidden = shot.picture === null;
    words.hidden = !image.hidden;
    image.replaceChildren(...(shot.picture === null ? [] : [pictureOf(shot.picture, shot.words)]));
    image.classList.toggle('sheet', shot.picture?.length === 1);
    words.textContent = shot.words;
    words.className = `words ${shot.look || ''}`;
    caption.textContent = `${shot.caption} — ${place + 1} of ${shots.length} — ${shot.words}`;
  };
  const dialog = h('dialog', { id: 'lightbox', 'aria-label': 'Picture' }, image, words, caption,
    h('p', { class: 'turn' }, h('button', { onclick: () => step(-1) }, '← before'), h('button', { onclick: () => step(1) }, 'after →'),
      h('button', { class: 'close', onclick: () => dialog.close() }, 'Close')));
  dialog.addEventListener('click', (click) => { if (click.target === dialog || image.contains(click.target)) dialog.close(); });
  dialog.addEventListener('keydown', (key) => {
    if (key.key === 'ArrowLeft') step(-1);
    if (key.key === 'ArrowRight') step(1);
  });
  document.body.append(dialog);
  return (all, index) => {
    [shots, place] = [all, index];
    show();
    dialog.showModal();
  };
})();

const section = (title, count, open, build, name) => {
  const body = h('div', { class: 'body' });
  const fold = h('details', { class: `fold ${name}`, open }, h('summary', {}, h('h4', {}, title), count ? h('span', { class: 'dim' }, ` ${count}`) : null), body);
  let built = false;
  const once = () => {
    if (!fold.open || built) return;
    built = true;
    build(body);
  };
  fold.addEventListener('toggle', once);
  once();
  return fold;
};

/** Files and links lead beside this page. */
const fileLink = (link, words) => h('a', { href: link.split('/').map(encodeURIComponent).join('/') }, words);

const requirementChips = (model) => {
  const declared = new Set(model.declared);
  const chip = (id) => h('a', { class: declared.has(id) ? 'id declared' : 'id', href: `#r-${id}`, title: declared.has(id) ? 'what it sets out to prove' : 'carried out on the way' }, id);
  return h('details', { class: 'fold ids', open: model.exercised.length <= 20 },
    h('summary', {}, h('h4', {}, 'Requirements'), h('span', { class: 'dim' }, ` ${model.exercised.length} carried out, ${declared.size} declared`)),
    h('p', {}, ...model.exercised.flatMap((id) => [chip(id), ' '])));
};

/** The screens in order, a strip for each display. */
const film = (body, shown, choose) => {
  for (const host of [...new Set(shown.map((event) => event.host))].sort()) {
    const own = shown.filter((event) => event.host === host);
    const shots = own.map((event) => ({ picture: event.more[1], look: lookOf(event), words: event.text, caption: `${host}, ${seconds(event.at)}` }));
    body.append(h('h5', {}, host), h('div', { class: 'film' }, ...own.map((event, place) => {
      const [name, picture] = event.more;
      const face = picture === null
        ? h('span', { class: `words ${lookOf(event)}` }, event.text)
        : pictureOf(picture, event.text);
      return h('figure', {}, h('button', { class: 'shot', title: event.text, 'aria-label': `Enlarge: ${name}, ${seconds(event.at)}`, onclick: () => lightbox(shots, place) }, face),
        h('figcaption', {}, h('button', { class: 'link', title: 'Show on the timeline', onclick: () => choose(event.index) }, seconds(event.at)), ` ${name}`));
    })));
  }
};

/** Every event, a row each; wires on demand. */
const story = (body, model, choose) => {
  const lanes = LANES.filter((lane) => model.events.some((event) => event.lane === lane));
  const wires = new Set(['smtp', 'pop3', 'http']);
  const table = h('table', { class: 'story' });
  const row = (event) => h('tr', { class: `${event.kind}${cardRefused(event) ? ' refused' : ''}`, 'data-lane': event.lane, 'data-i': event.index, hidden: wires.has(event.lane) },
    h('td', {}, h('button', { class: 'link', title: 'Show on the timeline', onclick: () => choose(event.index) }, (event.at / 1e6).toFixed(3))),
    h('td', { class: 'host' }, event.kind === 'chapter' ? '' : event.host), h('td', {}, event.kind === 'chapter' ? '' : event.lane),
    h('td', {}, ...(event.kind === 'step' ? event.more.flatMap((id) => [h('a', { class: 'id', href: `#r-${id}` }, id), ' ']) : [h('b', { class: 'sign' }, signOf(event)), ' ']), event.text));
  table.append(...model.events.map(row));
  const words = h('input', { type: 'search', class: 'find', placeholder: 'Find in the story', 'aria-label': 'Find in the story' });
  const boxes = lanes.map((lane) => h('label', {}, h('input', { type: 'checkbox', value: lane, checked: !wires.has(lane) }), lane));
  const filters = h('div', { class: 'filters' }, words, ...boxes);
  const filter = () => {
    const on = new Set([...filters.querySelectorAll(':checked')].map((box) => box.value));
    const wanted = words.value.toLowerCase();
    for (const line of table.rows) line.hidden = !on.has(line.dataset.lane) || (wanted && !line.textContent.toLowerCase().includes(wanted));
  };
  filters.addEventListener('input', filter);
  if (model.left_out) body.append(h('p', { class: 'note' }, `${model.left_out} further events are in events.jsonl beside this page.`));
  body.append(filters, h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Story' }, table));
};

const dialogue = (wire) => section(`${wire.lane.toUpperCase()} ${wire.client} → ${wire.server}`, `${seconds(wire.from)}, ${wire.lines.length} lines`, false, (body) => {
  body.append(h('table', { class: 'lines' }, ...wire.lines.map((line) => h('tr', { class: line.more[1] ? 'out' : 'in', title: `${line.more[4]} octets` },
    h('td', { class: 'num' }, (line.at / 1e6).toFixed(3)), h('td', {}, line.more[1] ? '→' : '←'), h('td', {}, h('code', {}, line.text))))));
}, 'wire');

const mailFold = (mail) => section(`✉ ${mail.what || mail.name}`, `${mail.name}, ${mail.octets.toLocaleString('en')} octets`, false, (body) => {
  body.append(h('table', { class: 'head' }, ...mail.head.map(([name, value]) => h('tr', {}, h('th', { scope: 'row' }, name), h('td', {}, value)))));
  if (mail.parts.length) {
    body.append(h('h5', {}, 'Parts'), h('ol', { class: 'parts' }, ...mail.parts.map((part) => h('li', {},
      h('code', {}, part.kind), part.name ? ` ${part.name}` : '', h('span', { class: 'dim' }, part.octets ? ` ${part.octets.toLocaleString('en')} octets` : ''), part.text ? h('pre', {}, part.text) : null))));
  }
  body.append(h('h5', {}, 'Source, base64 summed up'), h('pre', { class: 'source', tabindex: 0 }, mail.source), h('p', {}, fileLink(mail.link, 'The whole mail as a file')));
}, 'mail');

const files = (body, model) => {
  const pages = model.files.filter(([, , , page]) => page !== null);
  const shots = pages.map(([path, , what, page]) => ({ picture: page, words: what || path, caption: path }));
  if (pages.length) {
    body.append(h('div', { class: 'film paper' }, ...pages.map(([path, , , page], place) => h('figure', {},
      h('button', { class: 'shot', 'aria-label': `Enlarge: ${path}`, onclick: () => lightbox(shots, place) }, pictureOf(page, path)),
      h('figcaption', {}, path.split('/').pop())))));
  }
  body.append(h('ul', { class: 'files' }, ...model.files.map(([path, link, what]) => h('li', {}, fileLink(link, path), what ? h('span', { class: 'dim' }, ` ${what}`) : null))));
};

const buildDetail = async (scenario) => {
  const detail = scenario.querySelector('.detail');
  if (scenario.dataset.built || !by(`d${scenario.dataset.n}`)) return;
  scenario.dataset.built = 'yes';
  const model = readModel(await unpack(`d${scenario.dataset.n}`));
  let timeline;
  const reveal = (event, move) => {
    const target = event.wire !== undefined ? detail.querySelector(`[data-wire="${event.wire}"]`) : told.querySelector(`tr[data-i="${event.index}"]`);
    if (!target) return;
    for (let fold = target.closest('details'); fold && fold !== scenario; fold = fold.parentElement.closest('details')) fold.open = true;
    target.hidden = false;
    flash(target);
    const scroll = target.closest('.scroll');
    if (scroll) scroll.scrollTop = target.offsetTop - scroll.clientHeight / 2;
    if (move || !scroll) target.scrollIntoView({ block: 'center' });
  };
  const choose = (index) => {
    timeline.choose(index, true);
    timeline.element.scrollIntoView({ block: 'nearest' });
  };
  timeline = makeTimeline(model, reveal);
  const shown = model.events.filter((event) => event.kind === 'screen');
  const told = section('What happened', `${model.events.length} events`, true, (body) => story(body, model, choose), 'told');
  const parts = [requirementChips(model), section('Timeline', seconds(model.end), true, (body) => body.append(timeline.element), 'when')];
  if (shown.length) parts.push(section('What people saw', `${shown.length} screens`, true, (body) => film(body, shown, choose), 'saw'));
  parts.push(told);
  if (model.mails.length) parts.push(section('Mails', `${model.mails.length}`, true, (body) => body.append(...model.mails.map(mailFold)), 'mails'));
  if (model.connections.length) {
    const build = (body) => body.append(...model.connections.map((wire) => { const fold = dialogue(wire); fold.dataset.wire = wire.number; return fold; }));
    const wires = section('On the wires', `${model.connections.length} connections`, false, () => {}, 'wires');
    build(wires.querySelector('.body'));
    parts.push(wires);
  }
  if (model.files.length) parts.push(section('Files', `${model.files.length}`, false, (body) => files(body, model), 'artefacts'));
  detail.replaceChildren(...parts);
};
