// The page as a whole: filters, order, links into what is folded, light and dark.
const list = by('list');
const all = [...list.children];
const wanted = by('search');
const counts = [...document.querySelectorAll('.count')];
const lines = [...document.querySelectorAll('.requirements tbody tr')];
const textOf = new Map(all.map((scenario) => [scenario, `${scenario.id.slice(2)} ${scenario.querySelector('summary').textContent} ${scenario.dataset.ids}`.toLowerCase()]));

const filter = () => {
  const words = wanted.value.toLowerCase().split(/\s+/).filter(Boolean);
  const has = (text) => words.every((word) => text.includes(word));
  const verdicts = new Set(counts.filter((button) => button.getAttribute('aria-pressed') === 'true').map((button) => button.dataset.v));
  let shown = 0;
  for (const scenario of all) {
    scenario.hidden = !verdicts.has(scenario.dataset.v) || !has(textOf.get(scenario));
    shown += !scenario.hidden;
  }
  for (const line of lines) line.hidden = !has(line.textContent.toLowerCase()) || (by('open').checked && line.className === 'pass');
  by('nothing').hidden = shown > 0;
  by('shown').textContent = shown === all.length ? `${shown} scenario${shown === 1 ? '' : 's'}` : `${shown} of ${all.length} scenarios`;
};
wanted.addEventListener('input', filter);
by('open').addEventListener('change', filter);

// All pressed is "everything"; the first press asks for that verdict alone.
for (const button of counts) {
  button.addEventListener('click', () => {
    const pressed = (other) => other.getAttribute('aria-pressed') === 'true';
    const everything = counts.every(pressed);
    for (const other of counts) {
      if (everything) other.setAttribute('aria-pressed', other === button);
      else if (other === button) other.setAttribute('aria-pressed', !pressed(other));
    }
    if (!counts.some((other) => pressed(other) && !other.disabled)) for (const other of counts) other.setAttribute('aria-pressed', true);
    filter();
  });
}

by('sort').addEventListener('change', (event) => {
  const keys = {
    worst: null,
    run: (scenario) => +scenario.dataset.n,
    slow: (scenario) => -scenario.dataset.t,
    name: (scenario) => scenario.id,
  };
  const key = keys[event.target.value];
  const order = (a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0);
  list.append(...(key ? [...all].sort(order) : all));
});

addEventListener('keydown', (key) => {
  if (key.key !== '/' || /INPUT|SELECT|TEXTAREA/.test(document.activeElement.tagName)) return;
  key.preventDefault();
  wanted.focus();
});

for (const scenario of all) scenario.addEventListener('toggle', (event) => { if (event.target === scenario && scenario.open) buildDetail(scenario); });

// A requirement that hundreds of stories meet names them when asked.
const named = new Map(all.map((scenario) => [scenario.dataset.n, scenario]));
document.addEventListener('click', (click) => {
  const more = click.target.closest('button.more');
  if (!more) return;
  const numbers = more.dataset.s.split(' ').flatMap((range) => {
    const [first, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => `${first + index}`);
  });
  more.replaceWith(...numbers.flatMap((number) => {
    const scenario = named.get(number);
    return [h('a', { href: `#${scenario.id}` }, `${scenario.querySelector('.badge').textContent.split(' ')[0]} ${scenario.id.slice(2)}`), ' '];
  }));
});

// A link into a folded or filtered part opens what it leads to.
const follow = async () => {
  const target = location.hash && by(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  if (target.hidden) {
    wanted.value = '';
    by('open').checked = false;
    for (const button of counts) button.setAttribute('aria-pressed', true);
    filter();
  }
  if (target.classList.contains('scenario')) {
    target.open = true;
    await buildDetail(target);
  }
  target.scrollIntoView({ block: target.tagName === 'TR' ? 'center' : 'start' });
  flash(target);
};
addEventListener('hashchange', follow);

by('theme').addEventListener('click', () => {
  const dark = document.documentElement.dataset.theme ? document.documentElement.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
  document.documentElement.dataset.theme = dark ? 'light' : 'dark';
});

filter();
if (all.length === 1) all[0].open = true;
follow();
