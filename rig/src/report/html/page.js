'use strict';
const zoomed = document.getElementById('zoomed');
document.addEventListener('click', (event) => {
  const shot = event.target.closest('button.shot');
  if (shot) {
    zoomed.style.backgroundImage = getComputedStyle(shot).backgroundImage;
    zoomed.hidden = false;
  } else if (event.target === zoomed) zoomed.hidden = true;
});
document.addEventListener('keydown', (event) => { if (event.key === 'Escape') zoomed.hidden = true; });
// A dot tells what its row in the story tells.
document.addEventListener('pointerover', (event) => {
  const dot = event.target.closest('svg a');
  if (!dot || dot.querySelector('title')) return;
  const row = document.getElementById(dot.getAttribute('href').slice(1));
  const title = document.createElementNS('http:' + '//www.w3.org/2000/svg', 'title');
  title.textContent = row ? [...row.cells].map((cell) => cell.textContent.trim()).join('  ') : '';
  dot.append(title);
});
// A link into a folded part opens what it leads to.
const reveal = () => {
  const id = decodeURIComponent(location.hash.slice(1));
  const target = id && document.getElementById(id);
  for (let node = target; node; node = node.parentElement) if (node.tagName === 'DETAILS') node.open = true;
  if (target) target.scrollIntoView({ block: 'center' });
};
addEventListener('hashchange', reveal);
reveal();
for (const filters of document.querySelectorAll('.filters')) {
  const rows = filters.parentElement.querySelectorAll('.story tr');
  filters.addEventListener('change', () => {
    const shown = new Set([...filters.querySelectorAll(':checked')].map((box) => box.value));
    for (const row of rows) row.hidden = !shown.has(row.dataset.lane);
  });
}
for (const timeline of document.querySelectorAll('.timeline')) {
  const svg = timeline.querySelector('.scroll svg');
  const ticks = [...svg.querySelectorAll('text')].map((tick) => [tick, +tick.getAttribute('x')]);
  const height = +svg.getAttribute('height');
  const base = () => Math.max(300, timeline.querySelector('.scroll').clientWidth);
  const tools = document.createElement('p');
  tools.className = 'tools';
  tools.innerHTML = 'Zoom <input type="range" min="0" max="7" step="0.25" value="0" aria-label="zoom">';
  timeline.before(tools);
  const zoom = () => {
    const scroll = timeline.querySelector('.scroll');
    const centre = (scroll.scrollLeft + scroll.clientWidth / 2) / Math.max(1, svg.clientWidth);
    const width = base() * 2 ** tools.querySelector('input').value;
    svg.setAttribute('width', width);
    // The drawing is stretched, its words are not.
    const stretch = svg.dataset.width / width;
    for (const [tick, x] of ticks) tick.setAttribute('transform', `translate(${x * (1 - stretch)} 0) scale(${stretch} 1)`);
    scroll.scrollLeft = centre * width - scroll.clientWidth / 2;
  };
  tools.addEventListener('input', zoom);
  addEventListener('resize', zoom);
  timeline.closest('details')?.addEventListener('toggle', zoom);
  zoom();
}
