// Making elements. Words that anybody said are set as text, never read as markup.
const SVG = 'http:' + '//www.w3.org/2000/svg';
const by = (id) => document.getElementById(id);

/** An element with attributes, listeners (`onclick`) and children. */
const h = (name, attributes = {}, ...children) => {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, '');
    else if (value !== false && value != null) element.setAttribute(key, value);
  }
  element.append(...children.flat().filter((child) => child != null));
  return element;
};

/** Entities for what is put between our own tags of a drawing. */
const esc = (text) => text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);

const octetsOf = (id) => Uint8Array.from(atob(by(id).textContent), (sign) => sign.charCodeAt(0));

/** Reads a packed block of the page. */
const unpack = async (id) => {
  const stream = new Blob([octetsOf(id)]).stream().pipeThrough(new DecompressionStream('deflate'));
  return JSON.parse(await new Response(stream).text());
};

/** The address of a picture: made once, when it is first looked at. */
const pictureUrl = (() => {
  const urls = new Map();
  return (number) => {
    if (!urls.has(number)) urls.set(number, URL.createObjectURL(new Blob([octetsOf(`p${number}`)], { type: 'image/png' })));
    return urls.get(number);
  };
})();

/** Of a screen's 720 rows: what its bands have. A printed page is one. */
const BANDS = [64, 592, 64];

/** A picture as an element: its bands beneath each other. */
const pictureOf = (numbers, alt) => h('span', { class: 'pic', role: 'img', 'aria-label': alt },
  ...numbers.map((number) => h('img', { src: pictureUrl(number), alt: '' })));

/** A picture within a drawing, cut off where there is no more room. */
const pictureIn = (numbers, box, index) => {
  let y = 0;
  const band = (number, place) => {
    const [top, height] = [y, BANDS[place]];
    y += height;
    return `<image y="${top}" width="1280" height="${height + 1}" preserveAspectRatio="none" href="${pictureUrl(number)}" data-i="${index}"/>`;
  };
  return `<svg ${box} viewBox="0 0 1280 720" preserveAspectRatio="xMinYMid slice">${numbers.map(band).join('')}</svg>`;
};

const seconds = (micros) => (micros / 1e6).toFixed(3) + ' s';

/** As many characters as fit into so many pixels; those of East Asia take two places. */
const fitting = (text, pixels) => {
  let room = pixels / 6.4;
  let end = 0;
  for (const sign of text) {
    room -= sign.codePointAt(0) > 0x2e7f ? 2 : 1;
    if (room < 0) return end > 0 ? text.slice(0, Math.max(0, end - 1)) + '…' : '';
    end += sign.length;
  }
  return text;
};

/** Lights an element up for a moment. */
const flash = (element) => {
  element.classList.remove('flash');
  void element.offsetWidth;
  element.classList.add('flash');
};
