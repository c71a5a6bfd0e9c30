// What a packed block says, in terms of the story: events, connections, and the rows of the timeline.
const LANES = by('lanes').textContent.split(' ');

/** Events with time, lane and host; connections by number. */
const readModel = (data) => {
  let at = 0;
  const connections = new Map();
  const events = data.events.map(([since, lane, host, kind, text, more], index) => {
    at += since;
    const event = { index, at, lane: LANES[lane], host: data.hosts[host], kind, text, more };
    if (kind === 'wire') {
      const [number, toServer, from, to] = more;
      const names = [data.hosts[from], data.hosts[to]];
      const [client, server] = toServer ? names : names.reverse();
      if (!connections.has(number)) connections.set(number, { number, client, server, lines: [], from: at, to: at });
      const connection = connections.get(number);
      // The lane is known once it is clear what is spoken.
      Object.assign(connection, { to: at, lane: event.lane });
      connection.lines.push(event);
    }
    return event;
  });
  return { ...data, events, connections: [...connections.values()], end: Math.max(1000, at) };
};

/** What a line of the story says first: identifiers, codes. */
const signOf = (event) => {
  if (event.kind === 'step') return event.more.join(' ');
  if (event.kind === 'security' || event.kind === 'failure') return event.more;
  if (event.kind === 'level') return event.more ? '●' : '○';
  if (event.kind === 'tone') return event.more === null ? '' : '♪';
  return '';
};

/** The office a device or a fax machine belongs to: "adapter-b" and "terminal-b" to b. */
const officeOf = (host) => (/^(?:adapter|terminal|fax)-([^:.]+)/.exec(host) || [])[1]?.replace(/-terminal-port$/, '');

const DEVICES = [
  ['terminal', 'fax machine', 'marks'],
  ['screen', 'screen', 'screens'],
  ['lamp', 'lamp', 'wave'],
  ['buzzer', 'buzzer', 'wave'],
  ['card', 'card', 'marks'],
  ['adapter', 'adapter', 'marks'],
];
const WIRES = [['smtp', 'SMTP'], ['pop3', 'POP3'], ['http', 'HTTP']];
const SERVERS = { directory: 'certificate server', liar: 'lying server', history: 'history server', dns: 'name server', region: 'bench' };

/** The rows of the timeline: people, each office's devices, what goes between, the servers. */
const rowsOf = (model) => {
  const rows = [];
  const add = (group, label, kind, events, height = 24) => rows.push({ group, label, kind, events, height });
  const chapters = model.events.filter((event) => event.kind === 'chapter');
  if (chapters.length) add('', 'story', 'chapters', chapters, 20);
  const people = model.events.filter((event) => event.lane === 'person');
  if (people.length) add('People', [...new Set(people.map((event) => event.host))].join(', '), 'marks', people);
  const local = model.events.filter((event) => officeOf(event.host) && event.kind !== 'wire');
  for (const office of [...new Set(local.map((event) => officeOf(event.host)))].sort()) {
    for (const [lane, label, kind] of DEVICES) {
      const own = local.filter((event) => officeOf(event.host) === office && event.lane === lane);
      add(`Office ${office.toUpperCase()}`, label, kind, own, kind === 'screens' ? 46 : 24);
    }
  }
  for (const [lane, label] of WIRES) {
    const own = model.connections.filter((connection) => connection.lane === lane);
    if (own.length) add('Between', label, 'wires', stacked(own), 8 + 15 * Math.max(...own.map((wire) => wire.row + 1)));
  }
  const rest = model.events.filter((event) => !officeOf(event.host) && event.kind !== 'wire' && event.kind !== 'chapter' && event.lane !== 'person');
  for (const host of [...new Set(rest.map((event) => event.host))].sort()) {
    const label = SERVERS[host] || (host.startsWith('mail') ? `mail server ${host}` : host);
    add('Servers', label, 'marks', rest.filter((event) => event.host === host));
  }
  return rows;
};

/** Connections that overlap lie beneath each other, as far as there is room. */
const stacked = (connections) => {
  const ends = [];
  for (const connection of connections) {
    let row = ends.findIndex((end) => end < connection.from);
    if (row < 0) row = ends.length < 4 ? ends.length : ends.indexOf(Math.min(...ends));
    ends[row] = connection.to;
    connection.row = row;
  }
  return connections;
};
