// SPDX-License-Identifier: MPL-2.0
// app.js - keeps the status page up to date: reads api/v1/status and api/v1/routes once a second (doc/api.md), fills in the
// copies of #row-template, and the detail of the one route that is open. Everything from outside becomes text, never markup.
'use strict';

(() => {

const EVERY_MS = 1000, HIDDEN_MS = 15000, PATIENCE_MS = 4000, CHART_SECONDS = 900;
const SIDES = ['frontend', 'backend', 'ingress', 'capture'];

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

// --- numbers: page.c writes them the same way ------------------------------------------------------------------------

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
  setText($('reload'), reload.ok ? `ok, ${age} ago` : `failed; the one of ${age} ago is in force`);
  $('reload').className = reload.ok ? '' : 'error';
  $('reload').title = new Date(reload.time).toLocaleString();
  lastStatus = status;
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
let serial = 0, open = null, search = '', order = { key: null, down: false };

function level(route) {
  const worst = (route.problems || [])[0];
  return worst && worst.level !== 'info' ? worst.level : '';
}

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

const SIDE_SHORT = { frontend: 'front', backend: 'back', ingress: 'ingr', capture: 'capt' };

function endpointItems(route) {
  return SIDES.filter(side => route[side]).flatMap(side => (route[side].endpoints || []).map((endpoint, i) =>
    make('li', null, make('i', { title: side + ((route[side].connects || []).includes(endpoint) ? ', connects to' : ', bound') },
      i ? '' : SIDE_SHORT[side]), make('code', null, endpoint), copyButton(endpoint))));
}

// The path of a sparkline, 120 x 32; page.c draws the same.
function sparkPaths(history) {
  const points = history.slice(-60), top = Math.max(1, ...points), first = 60 - points.length;
  const line = !points.some(n => n) ? '' : points.map((n, i) => `${i ? 'L' : 'M'}${((first + i) * 120 / 59).toFixed(1)} ${(31 - n * 29 / top).toFixed(1)}`).join('');
  return { line, area: line ? `${line}L120 31.5L${(first * 120 / 59).toFixed(1)} 31.5Z` : '', most: points.length ? Math.max(...points) : 0 };
}

class Row {
  constructor(name) {
    const fragment = $('row-template').content.cloneNode(true);
    this.tr = fragment.querySelector('tr');
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
    this.spark = this.tr.querySelector('.spark');
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
    fill(this.tr, route);
    this.tr.dataset.level = level(route);
    this.tr.querySelector('.pill').dataset.state = route.state;
    setText(this.tr.querySelector('.engine'), route.engine === 'zmq_proxy' ? ` · ${route.engine}, not counted` : '');
    this.when('problems', route.problems, this.tr.querySelector('.problems'), () =>
      (route.problems || []).map(problem => make('li', { class: problem.level }, problem.text)));
    this.when('endpoints', SIDES.map(side => route[side] && route[side].endpoints), this.tr.querySelector('.endpoints'), () => endpointItems(route));
    this.draw(route.history || []);
    this.remember(route, time);
    if (before && (before.state !== route.state || level(before) !== level(route)))
      say(`${route.name}: ${route.state}${route.problems && route.problems[0] ? ', ' + route.problems[0].text : ''}`);
  }

  draw(history) {
    const { line, area, most } = sparkPaths(history);
    setAttribute(this.spark.querySelector('.line'), 'd', line);
    setAttribute(this.spark.querySelector('.area'), 'd', area);
    setAttribute(this.spark, 'aria-label', `messages in per second, last minute: at most ${most}`);
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

function arrange() {
  const list = [...rows.values()];
  if (order.key) {
    const by = keys[order.key][1], sign = order.down ? -1 : 1;
    list.sort((a, b) => { const x = by(a.route), y = by(b.route); return sign * (typeof x === 'string' ? x.localeCompare(y, 'en', { numeric: true }) : x - y); });
  }
  let shown = 0;
  const wanted = [];
  for (const row of list) {
    const found = isFound(row.route);
    row.tr.hidden = !found;
    if (row === open) detail.tr.hidden = !found;
    shown += found;
    wanted.push(row.tr);
    if (row === open) wanted.push(detail.tr);
  }
  if (!list.length || !shown) wanted.push(nothing(list.length ? 'No route matches the search.' : 'No routes are configured: add a [route NAME] section and reload.'));
  const body = $('rows');
  if (body.children.length !== wanted.length || wanted.some((tr, i) => body.children[i] !== tr)) {
    const focused = document.activeElement;
    body.replaceChildren(...wanted);
    if (focused && focused !== document.activeElement && body.contains(focused)) focused.focus({ preventScroll: true });
  }
  setText($('count'), search ? `${shown} of ${list.length}` : '');
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
  if (open && !rows.has(open.name)) closeDetail();
  arrange();
}

// --- detail of the open route --------------------------------------------------------------------------------------------

const detail = { tr: null, parts: null, chart: null, allOptions: false };

const toggle = row => open === row ? closeDetail() : openDetail(row);

function closeDetail() {
  if (!open) return;
  open.tr.classList.remove('open');
  open.button.setAttribute('aria-expanded', 'false');
  if (detail.chart) detail.chart.destroy();
  if (detail.watch) detail.watch.disconnect();
  detail.tr.remove();
  open = detail.tr = detail.chart = null;
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
    clients = table('Clients', ['Id', 'Side', 'Peer', 'User', 'Since', '>Backlog', '>Queued', '>Dropped']), events = table('Events', ['Time', 'Level', 'What happened']);
  const chart = make('div', { class: 'chart', role: 'img' }), legend = make('span', { class: 'legend', 'aria-hidden': 'true' }, make('span', null, 'in'), make('span', null, 'out'));
  const moreOptions = make('button', { type: 'button', class: 'more', click: () => { detail.allOptions = !detail.allOptions; row.cached.options = null; showDetail(detail.route); } });
  const command = `zbrokerctl tap ${row.name} count 10`;
  detail.parts = { sockets, drops, options, clients, events, chart, legend, moreOptions };
  const messages = section('Messages a second, the last 15 minutes', 'wide', chart);
  messages.firstChild.append(legend);
  const optionSection = section('Options as running', '', options.box);
  optionSection.firstChild.append(moreOptions);
  detail.parts.clientTitle = make('span', { class: 'quiet' });
  const clientSection = section('Clients', '', clients.box);
  clientSection.firstChild.append(detail.parts.clientTitle);
  detail.tr = make('tr', { class: 'detail', id: row.id, role: 'row' }, make('td', { colspan: 10, role: 'cell' }, make('div', { class: 'grid' },
    messages, section('Sockets', '', sockets.box), clientSection, optionSection,
    section('Last events', '', events.box), section('Dropped', '', drops.box),
    section('Look at messages', '', make('p', { class: 'hint' }, make('code', null, command), copyButton(command))))));
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
      row.remember(route, Date.parse(answer.time) || Date.now());
      showDetail(route);
    }
  } catch { /* the next tick says that the connection is lost */ }
}

const failures = side => {
  const told = Object.entries(side.handshake_failures || {}).filter(([, n]) => n).map(([reason, n]) => `${n} ${reason}`);
  return told.join(', ') || '0';
};

// label, what goes into the cell of a side
const BESIDE_DROPS = [
  ['missed by the capture', 'capture_dropped', 'count'],
  ['subscriptions', 'subscriptions', 'count'],
  ['remembered messages', 'remembered_messages', 'count'],
  ['remembered bytes', 'remembered_bytes', 'bytes'],
];

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
  ['blocked for', (side, at) => number(at, 'blocked_seconds', 'seconds')],
  ['handshakes failed', side => failures(side)],
  ['authenticated', side => side.auth ? String(side.auth.success) : '–'],
  ['refused', side => side.auth ? String(side.auth.failure) : '–'],
];

const when = text => {
  const date = new Date(text), today = new Date().toDateString() === date.toDateString();
  return make('time', { datetime: text, title: date.toLocaleString() }, today ? clock(date) : date.toLocaleDateString() + ' ' + clock(date));
};

const none = (columns, text) => [make('tr', null, make('td', { colspan: columns, class: 'quiet' }, text))];

function showDetail(route) {
  if (!open || !route) return;
  detail.route = route;
  const row = open, { sockets, drops, options, clients, events, moreOptions, clientTitle } = detail.parts, sides = SIDES.filter(side => route[side]);
  row.when('sockets', sides.map(side => [route[side].handshake_failures, route[side].auth]), sockets.body, () => [
    make('tr', null, make('td'), ...sides.map(side => make('th', { scope: 'col', class: 'n' }, side))),
    ...SOCKET_ROWS.map(([label, cell]) => make('tr', null, make('th', { scope: 'row' }, label),
      ...sides.map(side => make('td', { class: 'n' }, cell(route[side], side)))))]);
  fill(sockets.body, route);
  row.when('drops', Object.keys(route.dropped || {}), drops.body, () => [
    ...Object.keys(route.dropped || {}).map(reason => make('tr', null, make('th', { scope: 'row' }, reason), make('td', { class: 'n' }, number('dropped', reason, 'count')))),
    ...BESIDE_DROPS.map(([label, field, format]) => make('tr', null, make('th', { scope: 'row' }, label), make('td', { class: 'n' }, make('data', { 'data-field': field, 'data-format': format }))))]);
  fill(drops.body, route);
  if (route.options) showOptions(row, route.options, options.body, moreOptions);
  if (route.clients) {
    const all = SIDES.reduce((n, side) => n + (route[side] ? route[side].connections : 0), 0);
    setText(clientTitle, all > route.clients.length ? `${route.clients.length} of ${all}` : String(route.clients.length));
    row.when('clients', route.clients, clients.body, () => route.clients.length ? route.clients.map(client => make('tr', null,
      make('td', { class: 'mono' }, String(client.id)), make('td', null, client.side), make('td', { class: 'mono' }, client.peer),
      make('td', null, client.user || '–'), make('td', null, when(client.connected_at)),
      make('td', { class: 'n' }, client.backlog_bytes < 0 ? '–' : bytes(client.backlog_bytes)),
      make('td', { class: 'n' }, known(client.queued)), make('td', { class: 'n' }, known(client.dropped)))) : none(8, 'Nobody is connected.'));
  }
  if (route.events)
    row.when('events', route.events, events.body, () => route.events.length ? route.events.map(event => make('tr', { class: event.level },
      make('td', null, when(event.time)), make('td', null, event.level), make('td', { class: 'text' }, event.text))) : none(3, 'Nothing has happened yet.'));
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
  note.className = 'lost ' + kind;
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

async function tick() {
  clearTimeout(timer);
  if (asking) return;
  asking = true;
  const answers = await Promise.all([get('api/v1/status'), get('api/v1/routes')]).catch(() => null);
  if (answers) await show(...answers);
  else lost();
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
