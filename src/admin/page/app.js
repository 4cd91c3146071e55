// SPDX-License-Identifier: MPL-2.0
// app.js - the status page: reads api/v1/status, api/v1/routes and api/v1/events once a second (doc/api.md), fills in a copy of
// #row-template for each route, and the detail of the one route that is open. Everything from outside becomes text, never markup.
'use strict';

(() => {

const EVERY_MS = 1000, HIDDEN_MS = 15000, PATIENCE_MS = 4000, CHART_SECONDS = 900, MANY_ROUTES = 20;
const SIDES = ['frontend', 'backend', 'ingress', 'capture', 'ack', 'worker_ack'];

const $ = id => document.getElementById(id);

// --- small tools -----------------------------------------------------------------------------------------------------

// make('td', {class: 'n'}, 'text', node, ...)
function make(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {}))
    if (typeof value === 'function') node.addEventListener(name, value);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? '' : value);
  node.append(...children.filter(child => child !== null && child !== undefined));
  return node;
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function setAttribute(node, name, value) {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

const sum = object => Object.values(object || {}).reduce((total, n) => total + n, 0);
const clock = date => date.toLocaleTimeString([], { hour12: false });

// --- numbers ---------------------------------------------------------------------------------------------------------

function duration(seconds) {
  const s = Math.max(0, Math.floor(seconds)), part = [[86400, 'd', 3600, 'h'], [3600, 'h', 60, 'm'], [60, 'm', 1, 's']]
    .find(([size]) => s >= size);
  if (!part) return s + ' s';
  const [size, unit, next, nextUnit] = part;
  return `${Math.floor(s / size)} ${unit} ${Math.floor(s % size / next)} ${nextUnit}`;
}

function bytes(n) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];
  let unit = 0;
  for (; n >= 1024 && unit < units.length - 1; unit++) n /= 1024;
  return (unit && n < 100 ? n.toFixed(1) : n.toFixed(0)) + ' ' + units[unit];
}

const formats = {
  count: n => n.toFixed(0),
  rate: n => n >= 100 || Number.isInteger(n) ? n.toFixed(0) : n.toFixed(1),
  bytes,
  duration,
  seconds: n => n.toFixed(n ? 1 : 0) + ' s',
  share: n => (n * 100).toFixed(n && n < 0.9995 ? 1 : 0) + ' %',
};
const known = n => n === null || n === undefined ? '–' : compact(n);
const compact = n => n >= 1e6 ? +(n / 1e6).toFixed(1) + ' M' : n >= 1e4 ? +(n / 1e3).toFixed(1) + ' k' : String(+n.toFixed(1));

// Groups of three digits, each in an element of its own: they look apart and copy as one number.
function grouped(digits) {
  const head = digits.length % 3 || 3, parts = [digits.slice(0, head)];
  for (let i = head; i < digits.length; i += 3) parts.push(make('span', null, digits.slice(i, i + 3)));
  return parts;
}

function setNumber(node, value, format) {
  const text = value === null || value === undefined ? '–' : formats[format](value);
  setAttribute(node, 'value', String(value));
  if (node.textContent === text) return;
  node.replaceChildren(...(/^\d{5,}$/.test(text) ? grouped(text) : [text]));
}

// Every element of ROOT that names a field of OBJECT.
function fill(root, object) {
  for (const node of root.querySelectorAll('[data-field], [data-total]')) {
    const { field, total, in: inside, format } = node.dataset;
    const holder = inside ? object[inside] : object;
    const value = total ? sum(object[total]) : holder ? holder[field] : undefined;
    if (format) setNumber(node, value, format);
    else setText(node, value === undefined || value === null ? '' : String(value));
  }
}

const number = (inside, field, format) => make('data', { 'data-in': inside, 'data-field': field, 'data-format': format });

// --- what is asked -----------------------------------------------------------------------------------------------------

async function get(path) {
  const answer = await fetch(path, { cache: 'no-store', credentials: 'omit', signal: AbortSignal.timeout(PATIENCE_MS) });
  if (!answer.ok) throw new Error(answer.status + ' ' + answer.statusText);
  return answer.json();
}

// --- header ------------------------------------------------------------------------------------------------------------

let lastStatus = null;

function cpuShare(status) {
  const since = lastStatus && lastStatus.pid === status.pid && lastStatus.started === status.started ? lastStatus
    : { cpu_seconds: 0, uptime_seconds: 0 };
  const passed = status.uptime_seconds - since.uptime_seconds;
  return passed > 0 ? (status.cpu_seconds - since.cpu_seconds) / passed : 0;
}

function showStatus(status) {
  fill(document.querySelector('.top'), status);
  setText($('cpu'), (cpuShare(status) * 100).toFixed(1) + ' %');
  const reload = status.last_reload, age = duration((Date.parse(status.time) - Date.parse(reload.time)) / 1000);
  const reloads = status.reloads.success + status.reloads.failure;
  setText($('reload'), !reload.ok ? `failed; the one of ${age} ago is in force` : reloads ? `ok, ${age} ago` : 'none yet');
  $('reload').className = reload.ok ? '' : 'error';
  $('reload').title = new Date(reload.time).toLocaleString();
  showRefused(reload, age);
  lastStatus = status;
}

// Why the last reload failed, until one works.
function showRefused(reload, age) {
  const problems = reload.problems || [], [title, list] = $('refused').children;
  $('refused').hidden = reload.ok || !problems.length;
  setText(title, `The last reload failed; the configuration of ${age} ago is in force`);
  if (list.children.length !== problems.length || problems.some((text, i) => list.children[i].textContent !== text))
    list.replaceChildren(...problems.map(text => make('li', { class: 'mono' }, text)));
}

function summarise(status, list) {
  const bad = list.filter(r => level(r) === 'error').length, warned = list.filter(r => level(r) === 'warning').length;
  const running = list.filter(r => r.state === 'running').length, many = list.length === 1 ? '1 route' : `${list.length} routes`;
  if (status.stopping) return ['warning', 'The daemon is stopping'];
  if (!list.length) return ['', 'No routes are configured'];
  if (bad) return ['error', list.length === 1 ? 'The route needs action' : `${bad} of ${many} ${bad === 1 ? 'needs' : 'need'} action`];
  if (running < list.length) return ['warning', `${running} of ${many} running`];
  return [warned ? 'warning' : 'ok', list.length === 1 ? '1 route, running' : `All ${many} running`];
}

function showSummary(status, list) {
  const [kind, words] = summarise(status, list);
  setText($('summary'), words);
  $('summary').className = 'summary ' + kind;
  document.title = `${kind === 'error' ? '(!) ' : ''}zbroker ${status.hostname || ''}`;
}

// --- rows --------------------------------------------------------------------------------------------------------------

const rows = new Map(); // by name, in the order of the file
let serial = 0, open = null, search = '', onlyBad = false, order = { key: null, down: false };

function level(route) {
  const worst = (route.problems || [])[0];
  return worst && worst.level !== 'info' ? worst.level : '';
}

const isBad = route => Boolean(level(route)) || route.state !== 'running';

function say(text) {
  $('said').textContent = text;
}

const SVG = 'http://www.w3.org/2000/svg';
const icons = { copy: 'M5.5 5.5V3A1.5 1.5 0 0 1 7 1.5h6A1.5 1.5 0 0 1 14.5 3v6A1.5 1.5 0 0 1 13 10.5h-2.5M3 5.5h6A1.5 1.5 0 0 1 10.5 7v6A1.5 1.5 0 0 1 9 14.5H3A1.5 1.5 0 0 1 1.5 13V7A1.5 1.5 0 0 1 3 5.5Z',
  done: 'M2.5 8.5l3.5 3.5 7.5-8' };

function icon(name) {
  const svg = document.createElementNS(SVG, 'svg'), path = document.createElementNS(SVG, 'path');
  svg.setAttribute('viewBox', '0 0 16 16');
  svg.setAttribute('aria-hidden', 'true');
  path.setAttribute('d', icons[name]);
  svg.append(path);
  return svg;
}

// Over plain HTTP from another host there is no clipboard API.
async function copyText(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = make('textarea', { class: 'hidden' }, text);
  document.body.append(area);
  area.select();
  const copied = document.execCommand('copy');
  area.remove();
  if (!copied) throw new Error('refused');
}

function copyButton(text) {
  const button = make('button', { type: 'button', class: 'copy', 'aria-label': 'Copy ' + text, title: 'Copy' }, icon('copy'));
  button.addEventListener('click', async event => {
    event.stopPropagation();
    try {
      await copyText(text);
      button.replaceChildren(icon('done'));
      button.classList.add('done');
      say('Copied ' + text);
      setTimeout(() => { button.replaceChildren(icon('copy')); button.classList.remove('done'); }, 1500);
    } catch {
      say('The browser does not let this page copy');
    }
  });
  return button;
}

const command = text => [make('code', null, text), copyButton(text)];

const SIDE_SHORT = { frontend: 'front', backend: 'back', ingress: 'ingr', capture: 'capt', ack: 'ack', worker_ack: 'work' };

function endpointItems(route) {
  return SIDES.filter(side => route[side]).flatMap(side => (route[side].endpoints || []).map((endpoint, i) =>
    make('li', null, make('i', { title: side + ((route[side].connects || []).includes(endpoint) ? ', connects to' : ', bound') },
      i ? '' : SIDE_SHORT[side]), make('code', { title: endpoint }, make('bdi', null, endpoint)), copyButton(endpoint))));
}

// The path of a sparkline, 120 x 32.
function sparkPaths(history) {
  const points = history.slice(-60), top = Math.max(1, ...points), first = 60 - points.length;
  const line = !points.some(n => n) ? '' : points.map((n, i) => `${i ? 'L' : 'M'}${((first + i) * 120 / 59).toFixed(1)} ${(31 - n * 29 / top).toFixed(1)}`).join('');
  return { line, area: line ? `${line}L120 31.5L${(first * 120 / 59).toFixed(1)} 31.5Z` : '', most: points.length ? Math.max(...points) : 0 };
}

function draw(spark, history) {
  const { line, area, most } = sparkPaths(history);
  setAttribute(spark.querySelector('.line'), 'd', line);
  setAttribute(spark.querySelector('.area'), 'd', area);
  setAttribute(spark, 'aria-label', `messages in per second, last minute: at most ${most}`);
}

const newRow = kind => {
  const tr = $('row-template').content.cloneNode(true).querySelector('tr');
  tr.classList.add(kind);
  return tr;
};

const queued = (route, what) => SIDES.reduce((n, side) => n + (route[side] && route[side][what] || 0), 0);

// What numbers and chart of a row say beyond its fields.
function showTraffic(tr, route) {
  fill(tr, route);
  const waits = queued(route, 'queued_messages');
  setText(tr.querySelector('.waiting'), waits ? `${compact(waits)} wait` : '');
  setAttribute(tr.querySelector('.waiting'), 'title', waits ? `${waits} messages, ${bytes(queued(route, 'queued_bytes'))}, wait for their peers` : '');
  draw(tr.querySelector('.spark'), route.history || []);
}

class Row {
  constructor(name) {
    this.tr = newRow('route');
    this.tr.dataset.route = name;
    this.name = name;
    this.series = new Map(); // second -> {in, out}
    const label = this.tr.querySelector('.name');
    this.button = make('button', { type: 'button', 'aria-expanded': 'false', 'aria-controls': 'detail-' + ++serial });
    this.id = 'detail-' + serial;
    label.replaceWith(this.button);
    this.button.append(label);
    this.tr.addEventListener('click', event => {
      const inside = event.target.closest('button');
      if ((!inside || inside === this.button) && !String(getSelection())) toggle(this);
    });
    this.cached = {};
  }

  // Rebuild the children of NODE only when DATA has changed, so that a selection or the focus in there survives.
  when(key, data, node, build) {
    const text = JSON.stringify(data);
    if (this.cached[key] === text) return;
    this.cached[key] = text;
    node.replaceChildren(...build());
  }

  update(route, time) {
    const before = this.route;
    this.route = route;
    showTraffic(this.tr, route);
    this.tr.dataset.level = level(route);
    this.showState(route);
    setText(this.tr.querySelector('.engine'), route.engine === 'zmq_proxy' ? ` · ${route.engine}, not counted` : '');
    this.when('problems', route.problems, this.tr.querySelector('.problems'), () =>
      (route.problems || []).map(problem => make('li', { class: problem.level, title: problem.text }, problem.text)));
    this.when('endpoints', SIDES.map(side => route[side] && route[side].endpoints), this.tr.querySelector('.endpoints'), () => endpointItems(route));
    this.remember(route, time);
    if (before && (before.state !== route.state || level(before) !== level(route)))
      say(`${route.name}: ${route.state}${route.problems && route.problems[0] ? ', ' + route.problems[0].text : ''}`);
  }

  // A running route that is blocked looks blocked; its state stays for who reads the fields.
  showState(route) {
    const pill = this.tr.querySelector('.pill'), blocked = route.state === 'running' && route.blocked;
    pill.dataset.state = blocked ? 'blocked' : route.state;
    pill.querySelector('.state').classList.toggle('hidden', Boolean(blocked));
    if (Boolean(blocked) !== Boolean(pill.querySelector('.stuck')))
      if (blocked) pill.append(make('b', { class: 'stuck' }, 'blocked'));
      else pill.querySelector('.stuck').remove();
  }

  // The daemon has the last quarter of an hour in the detail; what went out is in there only.
  remember({ history = [], history_out: sent = [], rates }, time) {
    const now = Math.floor(time / 1000);
    history.forEach((n, i) => {
      const second = now - (history.length - 1 - i), known = this.series.get(second);
      if (!known || known.out === null) this.series.set(second, { in: n, out: sent.length ? sent[i] : null });
    });
    if (rates) this.series.set(now, { in: rates.in_1s, out: rates.out_1s });
    for (const second of this.series.keys()) if (second <= now - CHART_SECONDS) this.series.delete(second);
  }
}

const words = route => [route.name, route.type, route.state, route.blocked ? 'blocked' : '', ...(route.problems || []).map(p => p.text),
  ...SIDES.flatMap(side => route[side] ? route[side].endpoints || [] : [])].join(' ').toLowerCase();
const isFound = route => search.toLowerCase().split(/\s+/).every(word => words(route).includes(word));

const STATE_RANK = ['failed', 'draining', 'paused', 'disabled', 'running'];
const keys = { // what a column sorts by; numbers start with the largest
  name: ['Name', r => r.name],
  state: ['State', r => (['error', 'warning'].indexOf(level(r)) + 3) % 3 * 10 + STATE_RANK.indexOf(r.state) - (level(r) ? 20 : 0)],
  endpoints: ['Endpoints', r => SIDES.flatMap(side => r[side] ? r[side].endpoints : []).join(' ')],
  in: ['In', r => r.rates.in_1s, true],
  out: ['Out', r => r.rates.out_1s, true],
  bytes: ['Bytes', r => r.rates.bytes_in_1s + r.rates.bytes_out_1s, true],
  clients: ['Clients', r => SIDES.reduce((n, side) => n + (r[side] ? r[side].connections : 0), 0), true],
  dropped: ['Dropped', r => sum(r.dropped), true],
  blocked: ['Blocked', r => r.blocked_share, true],
};

// --- totals ------------------------------------------------------------------------------------------------------------

const total = { tr: null };

const addUp = (routes, inside, fields) => Object.fromEntries(fields.map(field =>
  [field, routes.reduce((n, route) => n + (route[inside] ? route[inside][field] || 0 : 0), 0)]));

// The routes that are shown, as if they were one.
function sumOf(routes) {
  const counted = ['messages_received', 'messages_sent', 'connections', 'queued_messages', 'queued_bytes'];
  const longest = Math.max(0, ...routes.map(route => (route.history || []).length));
  return {
    ...Object.fromEntries(SIDES.map(side => [side, addUp(routes, side, counted)])),
    rates: addUp(routes, 'rates', ['in_1s', 'out_1s', 'bytes_in_1s', 'bytes_out_1s']),
    dropped: { all: routes.reduce((n, route) => n + sum(route.dropped), 0) },
    history: Array.from({ length: longest }, (_, i) => routes.reduce((n, { history = [] }) => n + (history[history.length - longest + i] || 0), 0)),
  };
}

const STATES = ['running', 'paused', 'draining', 'disabled', 'failed'];

function showTotal(routes, all) {
  if (!total.tr) {
    total.tr = newRow('total');
    total.tr.querySelector('.pill').replaceWith(make('span', { class: 'states' }));
    $('totals').append(total.tr);
  }
  total.tr.hidden = routes.length < 2;
  if (total.tr.hidden) return;
  showTraffic(total.tr, sumOf(routes));
  setText(total.tr.querySelector('.name'), `${routes.length < all ? routes.length + ' of ' : ''}${all} routes`);
  setText(total.tr.querySelector('.states'), STATES.map(state => [routes.filter(route => route.state === state).length, state])
    .filter(([n]) => n).map(([n, state]) => `${n} ${state}`).join(', '));
}

// --- order -------------------------------------------------------------------------------------------------------------

function arrange() {
  const list = [...rows.values()];
  if (order.key) {
    const by = keys[order.key][1], sign = order.down ? -1 : 1;
    list.sort((a, b) => { const x = by(a.route), y = by(b.route); return sign * (typeof x === 'string' ? x.localeCompare(y, 'en', { numeric: true }) : x - y); });
  }
  const wanted = [];
  const all = list.map(row => row.route), bad = all.filter(isBad).length, shown = [];
  for (const row of list) {
    const found = isFound(row.route) && (!onlyBad || isBad(row.route));
    if (found) shown.push(row.route);
    row.tr.hidden = !found;
    if (row === open) detail.tr.hidden = !found;
    wanted.push(row.tr);
    if (row === open) wanted.push(detail.tr);
  }
  if (!shown.length) wanted.push(nothing(!list.length ? 'No routes are configured: add a [route NAME] section and reload.'
    : onlyBad && !search ? 'No route has a problem.' : 'No route matches the search.'));
  const body = $('rows');
  if (body.children.length !== wanted.length || wanted.some((tr, i) => body.children[i] !== tr)) {
    const focused = document.activeElement;
    body.replaceChildren(...wanted);
    if (focused && focused !== document.activeElement && body.contains(focused)) focused.focus({ preventScroll: true });
  }
  setText($('count'), search || onlyBad ? `${shown.length} of ${list.length}` : '');
  setText($('bad-count'), String(bad));
  $('bad').classList.toggle('some', bad > 0);
  showTotal(shown, list.length);
}

const empty = make('tr', { class: 'empty', role: 'row' }, make('td', { colspan: 10, role: 'cell' }));
function nothing(text) {
  setText(empty.firstChild, text);
  return empty;
}

function showRoutes(document_) {
  const time = Date.parse(document_.time) || Date.now(), old = new Map(rows);
  rows.clear();
  for (const route of document_.routes) {
    const row = old.get(route.name) || new Row(route.name);
    row.update(route, time);
    rows.set(route.name, row);
  }
  if (!compactChosen) setCompact(rows.size > MANY_ROUTES);
  if (open && !rows.has(open.name)) closeDetail();
  arrange();
}

// --- detail of the open route --------------------------------------------------------------------------------------------

const detail = { tr: null, parts: null, chart: null, seen: null, allOptions: false };

const toggle = row => open === row ? closeDetail() : openDetail(row);

function closeDetail() {
  if (!open) return;
  open.tr.classList.remove('open');
  open.button.setAttribute('aria-expanded', 'false');
  if (detail.chart) detail.chart.destroy();
  if (detail.watch) detail.watch.disconnect();
  detail.tr.remove();
  open = detail.tr = detail.chart = detail.seen = null;
  history.replaceState(null, '', location.pathname + location.search);
}

function section(title, kind, ...children) {
  return make('section', { class: kind, 'aria-label': title }, make('h2', null, title), ...children);
}

const table = (label, head, kind) => {
  const body = make('tbody');
  const whole = make('table', { class: 'inner ' + (kind || ''), 'aria-label': label },
    head ? make('thead', null, make('tr', null, ...head.map(text => make('th', { scope: 'col', class: text.startsWith('>') && 'n' }, text.replace('>', ''))))) : null, body);
  return { box: make('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': label }, whole), body, whole };
};

function openDetail(row) {
  closeDetail();
  open = row;
  const sockets = table('Sockets'), drops = table('Dropped by reason'), options = table('Options', ['Key', 'Value']),
    clients = table('Clients', CLIENT_COLUMNS.map(([heading]) => heading)), events = table('Events', ['Time', 'Level', 'What happened']);
  const chart = make('div', { class: 'chart', role: 'img' }), legend = make('span', { class: 'legend', 'aria-hidden': 'true' }, make('span', null, 'in'), make('span', null, 'out'));
  const moreOptions = make('button', { type: 'button', class: 'more', click: () => { detail.allOptions = !detail.allOptions; row.cached.options = null; showDetail(detail.route); } });
  const slowest = make('p', { class: 'slowest' }), topics = make('ul', { class: 'topics' }), topicsTitle = make('span', { class: 'quiet' });
  detail.parts = { sockets, drops, options, clients, events, chart, legend, moreOptions, slowest, topics, topicsTitle };
  const messages = section('Messages a second, the last 15 minutes', 'wide', chart);
  messages.firstChild.append(legend);
  const optionSection = section('Options as running', '', options.box);
  optionSection.firstChild.append(moreOptions);
  detail.parts.clientTitle = make('span', { class: 'quiet' });
  const clientSection = section('Clients', 'wide', slowest, clients.box);
  clientSection.firstChild.append(detail.parts.clientTitle);
  const topicSection = detail.parts.topicSection = section('Topics', '', topics);
  topicSection.firstChild.append(topicsTitle);
  const store = detail.parts.store = table('On disk'), storeSection = detail.parts.storeSection = section('On disk', '', store.box);
  detail.tr = make('tr', { class: 'detail', id: row.id, role: 'row' }, make('td', { colspan: 10, role: 'cell' }, make('div', { class: 'grid' },
    messages, clientSection, section('Sockets', '', sockets.box),
    make('div', { class: 'stack' }, topicSection, storeSection, section('Dropped', '', drops.box), section('Last events', '', events.box)), optionSection,
    section('Look at messages', '', make('p', { class: 'hint' }, ...command(`zbrokerctl tap ${row.name} count 10`))))));
  row.cached = { problems: row.cached.problems, endpoints: row.cached.endpoints };
  row.tr.classList.add('open');
  row.button.setAttribute('aria-expanded', 'true');
  history.replaceState(null, '', '#' + encodeURIComponent(row.name));
  arrange();
  makeChart();
  showDetail(row.route);
  fetchDetail();
}

async function fetchDetail() {
  const row = open;
  if (!row) return;
  try {
    const answer = await get('api/v1/routes?route=' + encodeURIComponent(row.name));
    const route = answer.routes.find(each => each.name === row.name);
    if (route && open === row) {
      const time = Date.parse(answer.time) || Date.now();
      row.remember(route, time);
      addRates(route.clients || [], time);
      showDetail(route);
    }
  } catch { /* the next tick says that the connection is lost */ }
}

const told = reasons => Object.entries(reasons || {}).filter(([, n]) => n).map(([reason, n]) => `${n} ${reason}`).join(', ') || '0';

// label, what goes into the cell of a side; with the third, whether the row has anything to say
const has = field => side => Boolean(side[field]);
const SOCKET_ROWS = [
  ['socket', (side, at) => make('span', { 'data-in': at, 'data-field': 'socket' })],
  ['security', (side, at) => make('span', { 'data-in': at, 'data-field': 'security' })],
  ['connections', (side, at) => number(at, 'connections', 'count')],
  ['accepted', (side, at) => number(at, 'connections_accepted', 'count')],
  ['disconnected', (side, at) => number(at, 'disconnections', 'count')],
  ['messages received', (side, at) => number(at, 'messages_received', 'count')],
  ['messages sent', (side, at) => number(at, 'messages_sent', 'count')],
  ['bytes received', (side, at) => number(at, 'received_bytes', 'bytes')],
  ['bytes sent', (side, at) => number(at, 'sent_bytes', 'bytes')],
  ['waiting', (side, at) => number(at, 'queued_messages', 'count'), has('queued_messages')],
  ['waiting bytes', (side, at) => number(at, 'queued_bytes', 'bytes'), has('queued_bytes')],
  ['blocked for', (side, at) => number(at, 'blocked_seconds', 'duration'), has('blocked_seconds')],
  ['cut', side => told(side.cut), side => sum(side.cut) > 0],
  ['no sign of life', (side, at) => number(at, 'heartbeat_timeouts', 'count'), has('heartbeat_timeouts')],
  ['handshakes failed', side => told(side.handshake_failures), side => sum(side.handshake_failures) > 0],
  ['authenticated', side => side.auth ? String(side.auth.success) : '–', side => side.auth && side.security !== 'none'],
  ['refused', side => side.auth ? String(side.auth.failure) : '–', side => side.auth && (side.security !== 'none' || side.auth.failure > 0)],
];

const when = text => {
  const date = new Date(text), today = new Date().toDateString() === date.toDateString();
  return make('time', { datetime: text, title: date.toLocaleString() }, today ? clock(date) : date.toLocaleDateString() + ' ' + clock(date));
};

// heading, how it looks, and, where the column is not for every list, whether CLIENTS need it. What one looks for comes first.
const CLIENT_COLUMNS = [
  ['Peer', client => ['mono', client.peer]],
  ['>Backlog', client => ['n', client.backlog_bytes < 0 ? '–' : bytes(client.backlog_bytes)]],
  ['>Queued', client => ['n', known(client.queued)]],
  ['>Dropped', client => ['n', known(client.dropped)]],
  ['>Msg/s', client => ['n', known(client.rate)], list => list.some(client => client.rate !== undefined)],
  ['User', client => ['', client.user || '–'], list => list.some(client => client.user)],
  ['Side', client => ['', client.state === 'away' ? client.side + ', away' : client.side]],
  ['Since', client => ['', when(client.connected_at)]],
  ['>Id', client => ['n mono', String(client.id)]],
];

const behind = client => Math.max(client.backlog_bytes, 0) + (client.queued_bytes || 0);

// Messages a second since they were asked for last.
function addRates(clients, time) {
  const before = detail.seen || { at: new Map() }, passed = (time - before.time) / 1000, at = new Map();
  for (const client of clients) {
    if (client.messages_received === null || client.messages_received === undefined) continue;
    const count = client.messages_received + client.messages_sent;
    at.set(client.id, count);
    if (passed > 0 && before.at.has(client.id)) client.rate = Math.round((count - before.at.get(client.id)) / passed);
  }
  detail.seen = { at, time };
}

function showClients(row, route) {
  const { clients, clientTitle, slowest } = detail.parts, list = [...route.clients].sort((a, b) => behind(b) - behind(a));
  const all = SIDES.reduce((n, side) => n + (route[side] ? route[side].connections : 0), 0), slow = route.slowest_client;
  setText(clientTitle, all > list.length ? `${list.length} of ${all}` : String(list.length));
  row.when('slowest', slow && [slow.id, slow.peer, slow.user, bytes(behind(slow))], slowest, () => !slow ? [] : [
    'Slowest: ', make('b', null, `client ${slow.id}`), `, ${slow.peer}${slow.user ? ` (${slow.user})` : ''}, is ${bytes(behind(slow))} behind; to disconnect it: `,
    ...command(`zbrokerctl kick ${route.name} ${slow.id}`)]);
  const wanted = CLIENT_COLUMNS.map(([, , needed]) => !needed || needed(list));
  [...clients.whole.tHead.rows[0].cells].forEach((th, i) => { th.hidden = !wanted[i]; });
  row.when('clients', list, clients.body, () => list.length ? list.map(client => make('tr', null, ...CLIENT_COLUMNS.map(([, cell], i) => {
    const [kind, content] = cell(client);
    return make('td', { class: kind, hidden: !wanted[i] }, content);
  }))) : none(CLIENT_COLUMNS.length, 'No client is connected.'));
}

function showTopics(row, route) {
  const { topics, topicsTitle, topicSection } = detail.parts, list = route.topics || [], all = route.subscriptions;
  topicSection.hidden = !route.ingress && !list.length && route.type !== 'forwarder';
  setText(topicsTitle, all > list.length ? `${list.length} of ${all}` : String(all));
  const kept = route.remembered_messages ? [`${route.remembered_messages} messages remembered, ${bytes(route.remembered_bytes)}`] : [];
  row.when('topics', [list, kept], topics, () => [...(list.length ? list.map(topic => make('li', { class: topic ? 'mono' : 'mono all' }, topic || 'everything'))
    : [make('li', { class: 'quiet' }, 'No subscriptions.')]), ...kept.map(text => make('li', { class: 'quiet' }, text))]);
}

function showDrops(row, route) {
  const { drops } = detail.parts, some = [...Object.entries(route.dropped || {}), ['missed by the capture', route.capture_dropped || 0]].filter(([, n]) => n);
  row.when('drops', some, drops.body, () => some.length ? some.map(([reason, n]) => make('tr', null, make('th', { scope: 'row' }, reason),
    make('td', { class: 'n' }, make('data', { value: n }, ...grouped(String(n)))))) : none(2, 'Nothing was dropped.'));
}

// label, what it says, and whether it has anything to say
const STORE_ROWS = [
  ['state', store => store.state],
  ['messages', store => grouped(String(store.messages))],
  ['files', store => `${bytes(store.bytes)} of ${bytes(store.max_bytes)}`],
  ['oldest message', store => duration(store.oldest_seconds), store => store.oldest_seconds !== null],
  ['damaged messages', store => String(store.corrupt), store => store.corrupt > 0],
  ['stream', store => store.engine_up ? `connected to ${store.server}` : `away: ${store.reason}`, store => store.engine_up !== null],
  ['with workers', store => grouped(String(store.jobs.unacked)), store => store.jobs],
  ['given again', store => grouped(String(store.jobs.again)), store => store.jobs],
  ['given up', store => grouped(String(store.jobs.dead)), store => store.jobs],
];

function showStore(row, route) {
  const { store, storeSection } = detail.parts, rows = route.store ? STORE_ROWS.filter(([, , says]) => !says || says(route.store)) : [];
  storeSection.hidden = !route.store;
  const said = rows.map(([label, says]) => [label, [says(route.store)].flat()]);
  row.when('store', said.map(([label, text]) => [label, ...text.map(part => part.textContent || part)]), store.body, () =>
    said.map(([label, text]) => make('tr', null, make('th', { scope: 'row' }, label), make('td', { class: 'n' }, ...text))));
}

const eventRows = events => events.length ? events.map(event => make('tr', { class: event.level },
  make('td', null, when(event.time)), make('td', null, event.level), make('td', { class: 'text' }, event.text))) : none(3, 'Nothing has happened yet.');

const none = (columns, text) => [make('tr', null, make('td', { colspan: columns, class: 'quiet' }, text))];

function showDetail(route) {
  if (!open || !route) return;
  detail.route = route;
  const row = open, { sockets, options, events, moreOptions } = detail.parts, sides = SIDES.filter(side => route[side]);
  const shown = SOCKET_ROWS.filter(([, , says]) => !says || sides.some(side => says(route[side])));
  row.when('sockets', [shown.map(([label]) => label), sides.map(side => [route[side].handshake_failures, route[side].cut, route[side].auth])], sockets.body, () => [
    make('tr', null, make('td'), ...sides.map(side => make('th', { scope: 'col', class: 'n' }, side))),
    ...shown.map(([label, cell]) => make('tr', null, make('th', { scope: 'row' }, label),
      ...sides.map(side => make('td', { class: 'n' }, cell(route[side], side)))))]);
  fill(sockets.body, route);
  showDrops(row, route);
  showTopics(row, route);
  showStore(row, route);
  if (route.options) showOptions(row, route.options, options.body, moreOptions);
  if (route.clients) showClients(row, route);
  if (route.events) row.when('events', route.events, events.body, () => eventRows(route.events));
  showChart(row);
}

function showOptions(row, list, body, more) {
  const set = list.filter(option => !option.default), shown = detail.allOptions ? list : set;
  setText(more, detail.allOptions ? 'only what the file says' : `and ${list.length - set.length} defaults`);
  more.hidden = list.length === set.length;
  row.when('options', [shown, detail.allOptions], body, () => shown.length ? shown.map(option => make('tr', null,
    make('th', { scope: 'row', class: option.default ? '' : 'set' }, option.key), make('td', { class: 'mono value' }, option.value))) : none(2, 'Everything is at its default.'));
}

// --- chart ---------------------------------------------------------------------------------------------------------------

function chartData(row) {
  const now = Math.max(...row.series.keys(), Math.floor(Date.now() / 1000) - 5), x = [], inward = [], outward = [];
  for (let second = now - CHART_SECONDS + 1; second <= now; second++) {
    const point = row.series.get(second);
    x.push(second);
    inward.push(point ? point.in : null);
    outward.push(point ? point.out : null);
  }
  return [x, inward, outward];
}

function makeChart() {
  const { chart, legend } = detail.parts, style = getComputedStyle(document.documentElement), colour = name => style.getPropertyValue(name).trim();
  if (detail.chart) detail.chart.destroy();
  if (detail.watch) detail.watch.disconnect();
  const axis = { stroke: colour('--quiet'), font: '11px ' + colour('--sans'), grid: { stroke: colour('--line'), width: 1 }, ticks: { show: false } };
  const line = (stroke, fill) => ({ stroke, fill, width: 1.5, spanGaps: true, points: { show: false } });
  detail.chart = new uPlot({
    width: chart.clientWidth || 300, height: 178, legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
    scales: { x: { time: true }, y: { range: (plot, min, max) => [0, Math.max(1, max * 1.1)] } },
    axes: [{ ...axis, size: 26, space: 70, values: (plot, ticks) => ticks.map(tick => new Date(tick * 1000).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', hour12: false })) },
      { ...axis, size: 52, space: 34, values: (plot, ticks) => ticks.map(compact) }],
    series: [{}, line(colour('--accent'), colour('--accent-soft')), line(colour('--second'))],
    hooks: { setCursor: [plot => {
      const i = plot.cursor.idx, at = i === null || i === undefined ? null : plot.data[0][i];
      const told = n => n === null || n === undefined ? '' : ' ' + compact(n);
      setText(legend.children[0], 'in' + (at ? told(plot.data[1][i]) : ''));
      setText(legend.children[1], 'out' + (at ? told(plot.data[2][i]) : ''));
    }] },
  }, chartData(open), chart);
  detail.watch = new ResizeObserver(() => detail.chart && chart.clientWidth && detail.chart.setSize({ width: chart.clientWidth - 6, height: 178 }));
  detail.watch.observe(chart);
}

function showChart(row) {
  if (!detail.chart) return;
  const data = chartData(row);
  detail.chart.setData(data);
  const most = Math.max(0, ...data[1].map(n => n || 0));
  setAttribute(detail.parts.chart, 'aria-label', `Messages a second over 15 minutes: now ${compact(row.route.rates.in_1s)} in and ${compact(row.route.rates.out_1s)} out, at most ${compact(most)} in`);
}

// --- once a second -------------------------------------------------------------------------------------------------------

let lostSince = null, timer = 0, asking = false, toldUntil = 0;

function tell(text, kind) {
  const note = $('lost');
  note.hidden = !text;
  note.className = 'banner ' + kind;
  setText(note, text);
}

function connected(status) {
  const restarted = lastStatus && (lastStatus.pid !== status.pid || lastStatus.started !== status.started);
  if (restarted) for (const row of rows.values()) row.series.clear();
  if (lostSince || restarted) {
    tell(restarted ? `The daemon was started again at ${clock(new Date(status.started))}.` : 'Connected again.', 'told');
    toldUntil = Date.now() + 8000;
  } else if (toldUntil && Date.now() > toldUntil) {
    tell('', '');
    toldUntil = 0;
  }
  lostSince = null;
  document.body.classList.remove('stale');
}

function lost() {
  if (lostSince) return;
  lostSince = new Date();
  toldUntil = 0;
  document.body.classList.add('stale');
  tell(`Connection lost at ${clock(lostSince)}. These are the last known figures; trying again every second.`, '');
}

async function show(status, routes) {
  connected(status);
  showStatus(status);
  showRoutes(routes);
  showSummary(status, routes.routes);
  if (open) await fetchDetail();
  else openFromAddress();
}

const log = { text: '' };

async function showLog() {
  const { events } = await get('api/v1/events').catch(() => ({})), text = JSON.stringify(events);
  if (!events || text === log.text) return;
  log.text = text;
  $('log').querySelector('tbody').replaceChildren(...eventRows(events));
}

async function tick() {
  clearTimeout(timer);
  if (asking) return;
  asking = true;
  const answers = await Promise.all([get('api/v1/status'), get('api/v1/routes')]).catch(() => null);
  if (answers) await show(...answers);
  else lost();
  if (answers && $('log').open) await showLog();
  asking = false;
  timer = setTimeout(tick, document.hidden ? HIDDEN_MS : EVERY_MS);
}

let addressRead = false;
function openFromAddress() {
  if (addressRead) return;
  addressRead = true;
  let name = '';
  try { name = decodeURIComponent(location.hash.slice(1)); } catch { return; }
  if (rows.has(name)) openDetail(rows.get(name));
}

// --- search, sort, keys -----------------------------------------------------------------------------------------------------

function sortBy(key, down) {
  order = { key, down };
  for (const th of document.querySelectorAll('th[data-sort]'))
    if (th.dataset.sort === key) th.setAttribute('aria-sort', down ? 'descending' : 'ascending');
    else th.removeAttribute('aria-sort');
  $('order').value = key || '';
  arrange();
}

// One line a route. Where nobody has chosen, that depends on how many there are.
let compactChosen = false;

function setCompact(on) {
  $('table').classList.toggle('compact', on);
  setAttribute($('compact'), 'aria-pressed', String(on));
}

function chooseCompact(on) {
  compactChosen = true;
  setCompact(on);
  try { localStorage.setItem('zbroker-compact', on ? 'yes' : 'no'); } catch { /* then it is chosen until the page is left */ }
}

function recallCompact() {
  let chosen = null;
  try { chosen = localStorage.getItem('zbroker-compact'); } catch { /* no storage */ }
  if (chosen) chooseCompact(chosen === 'yes');
}

function showOnlyBad(on) {
  onlyBad = on;
  setAttribute($('bad'), 'aria-pressed', String(on));
  arrange();
}

// First click: the way that is of use for the column; second: the other way; third: as in the file.
function nextSort(key) {
  const first = Boolean(keys[key][2]);
  if (order.key !== key) sortBy(key, first);
  else if (order.down === first) sortBy(key, !first);
  else sortBy(null, false);
}

function prepare() {
  document.documentElement.classList.add('js');
  for (const th of document.querySelectorAll('th[data-sort]'))
    th.replaceChildren(make('button', { type: 'button', click: () => nextSort(th.dataset.sort) }, make('span', null, ...th.childNodes)));
  $('order').append(make('option', { value: '' }, 'as in the file'), ...Object.entries(keys).map(([key, [label]]) => make('option', { value: key }, label)));
  $('order').addEventListener('change', event => sortBy(event.target.value || null, event.target.value ? Boolean(keys[event.target.value][2]) : false));
  $('bad').addEventListener('click', () => showOnlyBad(!onlyBad));
  $('compact').addEventListener('click', () => chooseCompact($('compact').getAttribute('aria-pressed') !== 'true'));
  $('log').addEventListener('toggle', () => $('log').open && showLog());
  recallCompact();
  $('search').addEventListener('input', event => { search = event.target.value.trim(); arrange(); });
  document.addEventListener('keydown', event => {
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
    if (event.key === '/' && !typing && !event.ctrlKey && !event.metaKey) { event.preventDefault(); $('search').focus(); }
    if (event.key === 'Escape' && event.target === $('search')) { event.target.value = search = ''; arrange(); }
    else if (event.key === 'Escape' && open) { const button = open.button; closeDetail(); button.focus(); }
    if ((event.key === 'ArrowDown' || event.key === 'ArrowUp') && event.target.matches('.who button')) {
      event.preventDefault();
      const buttons = [...document.querySelectorAll('tr:not([hidden]) > .who button')];
      const next = buttons[buttons.indexOf(event.target) + (event.key === 'ArrowDown' ? 1 : -1)];
      if (next) next.focus();
    }
  });
  document.addEventListener('visibilitychange', () => document.hidden || tick());
  addEventListener('hashchange', () => { addressRead = false; closeDetail(); openFromAddress(); });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => open && makeChart());
  tick();
}

prepare();

})();
