// The list of experiments, newest first or in the order that was asked for, kept up to date by the event stream.

import {actionButton} from './actions.js';
import {listExperiments, signedIn} from './api.js';
import {announce, badge, copyButton, element, errorPanel, progressBar, setAttribute, setText, stateNames, updateBadge}
  from './dom.js';
import {MISSING, count, curlLine, dateTime, duration, elapsed, isRegression, measured, percent, plural, rate,
  summary, timeLeft, when} from './format.js';
import {listen, live} from './live.js';
import {Query, SORTABLE} from './query.js';

const PAGE = 50;
const SEARCH_PAGE = 200;  // while a search finds little, older pages are read in larger steps,
const SEARCH_PAGES = 10;  // at most so many unasked,
const SEARCH_ENOUGH = 20; // until so many rows match
const LARGEST_PAGE = 500;
const ASK_AGAIN = 1500;   // milliseconds: where only the server knows what belongs here, it is asked no more often

const FIRST_SPEC = {
  name: 'My first experiment',
  dataset: {name: 'digits', train_size: 2000},
  model: {preset: 'lenet'},
  regularizers: [{type: 'datagrad', weight: 50}],
  training: {iterations: 2000, evaluate_every: 50},
};

const COLUMNS = [['Experiment', 'name'], ['State', 'state'], ['Progress', 'progress'], ['Validation', 'number'],
  ['Test', 'number'], ['Created', 'created'], ['Duration', 'number duration'], ['', 'action']];

// Column heading → what it sorts by.
const HEADINGS = {Experiment: 'name', State: 'state', Validation: 'validation', Test: 'test', Created: 'created',
  Duration: 'duration'};

export function showList(place, signal) {
  document.title = 'Experiments – gradreg';
  new List(place, signal).reload();
}

class List {
  #records = new Map(); // id → experiment
  #rows = new Map();    // id → Row
  #dirty = new Set();
  #frame = 0;
  #cursor = null;
  #loading = 0; // number of the newest load: answers to older ones are dropped
  #places = new Map();  // id → place in the server's order, where that is not the newest first
  #timer = 0;           // of the next question after events
  #signal;
  #searchPages = SEARCH_PAGES;
  #error = null;        // why the last load failed
  #moved = false;       // rows may stand in another order than they should

  constructor(place, signal) {
    this.#signal = signal;
    this.query = new Query(() => {
      this.#clear();
      this.reload();
    });
    this.total = element('p', {class: 'list-total', role: 'status'});
    this.search = element('input', {type: 'search', class: 'search', placeholder: 'Name, model, data, tag …',
      'aria-label': 'Search experiments', value: this.query.text, autocomplete: 'off', spellcheck: 'false',
      oninput: () => this.#searchFor(this.search.value)});
    this.body = element('tbody', {role: 'rowgroup'});
    this.table = element('table', {class: 'experiments', role: 'table', 'aria-label': 'Experiments'},
      element('thead', {role: 'rowgroup'}, element('tr', {role: 'row'}, COLUMNS.map(([name, kind]) =>
        this.#heading(name, kind.split(' '))))),
      this.body);
    this.notice = element('div');
    this.more = element('button', {type: 'button', class: 'button', hidden: true,
      onclick: () => this.more.ariaDisabled ?? this.#loadMore(PAGE)}, 'Load more');
    place.append(
      element('div', {class: 'list-head'},
        element('h1', {}, 'Experiments'), this.total, this.search),
      this.#filters(), this.query.node,
      element('div', {class: 'table-frame'}, this.table), this.notice,
      element('div', {class: 'list-foot'}, this.more));
    this.frame = this.table.parentElement;
    this.frame.hidden = true;

    listen(signal, {
      open: () => this.query.isWrong || this.reload(),
      experiment: (experiment) => this.#accept(experiment),
      progress: (progress) => this.#advance(progress),
      metrics: ({id, values}) => this.#measure(id, values),
      deleted: ({id}) => this.#drop(id),
    });
    let ticks = 0;
    const timer = setInterval(() => {
      ticks += 1;
      // Without a connection nobody knows whether it still runs.
      for (const [id, {state}] of this.#records) {
        if (state === 'running' ? live.status === 'live' : ticks % 30 === 0) this.#touch(id);
      }
    }, 1000);
    signal.addEventListener('abort', () => {
      clearInterval(timer);
      clearTimeout(this.#timer);
    });
  }

  #heading(name, kinds) {
    const column = HEADINGS[name];
    const node = element('th', {scope: 'col', role: 'columnheader', 'aria-label': name || null,
      class: kinds.map((kind) => `column-${kind}`).join(' ')});
    if (column) {
      node.append(element('button', {type: 'button', class: 'heading', title: `Sort by ${SORTABLE[column].label.toLowerCase()}`,
        onclick: () => this.query.turn(column)}, name));
      this.headings = [...this.headings ?? [], [node, column]];
    } else {
      node.append(name || element('span', {class: 'visually-hidden'}, 'Action'));
    }
    return node;
  }

  #filters() {
    const choice = (value, label) => element('label', {class: 'chip'},
      element('input', {type: 'radio', name: 'state', value, checked: value === this.query.state,
        onchange: () => this.query.setState(value)}),
      element('span', {'data-state': value || null}, label));
    return element('fieldset', {class: 'filters'},
      element('legend', {class: 'visually-hidden'}, 'Show experiments in state'),
      choice('', 'All'),
      stateNames.map((state) => choice(state, state[0].toUpperCase() + state.slice(1))));
  }

  // Reads again what is shown (and more of it than one page where more was loaded).
  async reload() {
    const load = ++this.#loading;
    const change = live.change;
    const limit = Math.min(Math.max(PAGE, this.#records.size), LARGEST_PAGE);
    let page;
    try {
      page = await listExperiments({...this.query.parameters, limit});
    } catch (error) {
      if (this.#isCurrent(load)) this.#fail(error);
      return;
    }
    if (!this.#isCurrent(load)) return;
    const kept = new Set(page.experiments.map(({id}) => id));
    const oldest = page.next_cursor && !this.query.isServers ? Math.min(...kept) : 0;
    for (const id of [...this.#records.keys()]) {
      if (!kept.has(id) && id >= oldest && !live.changedSince(id, change)) this.#forget(id);
    }
    this.#places.clear();
    this.#take(page, change);
  }

  async #loadMore(limit) {
    if (!this.#cursor) return;
    const load = ++this.#loading;
    const change = live.change;
    const isFocused = document.activeElement === this.more;
    this.more.ariaDisabled = 'true'; // not "disabled": it would lose the focus
    try {
      const page = await listExperiments({...this.query.parameters, cursor: this.#cursor, limit});
      if (this.#isCurrent(load)) this.#take(page, change);
      // In its place are the first of what it has loaded.
      if (isFocused && this.more.hidden) requestAnimationFrame(() => this.#rows.get(page.experiments[0]?.id)?.link.focus());
    } catch (error) {
      if (this.#isCurrent(load)) this.#fail(error);
    } finally {
      this.more.ariaDisabled = null;
    }
  }

  #isCurrent(load) {
    return load === this.#loading && !this.#signal.aborted;
  }

  #take(page, change) {
    for (const record of page.experiments) {
      if (this.query.isServers) this.#places.set(record.id, this.#places.size);
      // An event that came while the answer was on its way is newer than the answer.
      if (live.changedSince(record.id, change)) continue;
      record.received = Date.now();
      this.#put(record);
    }
    this.#moved = true;
    this.#error = null;
    this.#cursor = page.next_cursor ?? null;
    this.#settle();
  }

  #accept(record) {
    if (this.query.isWrong) return;
    if (this.query.state && record.state !== this.query.state) this.#forget(record.id);
    else if (!this.query.isServers || this.#records.has(record.id)) this.#put(record);
    if (this.query.isServers) this.#askAgain();
    this.#settle();
  }

  // Whether it belongs here now, and where, only the server can say.
  #askAgain() {
    this.#timer ||= setTimeout(() => {
      this.#timer = 0;
      this.reload();
    }, ASK_AGAIN);
  }

  #advance({id, ...progress}) {
    const record = this.#records.get(id);
    if (!record || record.state !== 'running') return;
    record.progress = {...record.progress, ...progress};
    this.#touch(id);
  }

  #measure(id, values) {
    const record = this.#records.get(id);
    if (!record) return;
    record.metrics = {...record.metrics, ...values};
    this.#touch(id);
  }

  #drop(id) {
    if (!this.#records.has(id)) return;
    this.#forget(id);
    this.#settle();
  }

  #put(record) {
    this.#records.set(record.id, record);
    this.#touch(record.id);
  }

  #forget(id) {
    this.#records.delete(id);
    this.#rows.get(id)?.node.remove();
    this.#rows.delete(id);
  }

  #clear() {
    for (const id of [...this.#records.keys()]) this.#forget(id);
    this.#cursor = null;
    this.#places.clear();
  }

  #touch(id) {
    this.#dirty.add(id);
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      for (const touched of this.#dirty) this.#draw(touched);
      this.#dirty.clear();
      if (this.#moved) this.#arrange();
    });
  }

  #draw(id) {
    const record = this.#records.get(id);
    if (!record) return;
    let row = this.#rows.get(id);
    if (!row) {
      row = new Row(record, {cancelled: (after) => this.#accept(after),
        deleted: () => {
          announce(`Experiment ${id} deleted`);
          const {node} = this.#rows.get(id) ?? {};
          const next = node?.nextElementSibling ?? node?.previousElementSibling;
          this.#drop(id);
          (next?.querySelector('.row-link') ?? this.search).focus();
        }});
      this.#rows.set(id, row);
      this.body.append(row.node);
      this.#moved = true;
    }
    row.update(record);
    row.node.hidden = !matches(record, this.query.text);
  }

  // Puts each row where it belongs; what stands there already is not touched, so that it keeps its focus.
  #arrange() {
    const place = (id) => this.#places.get(id) ?? Infinity;
    const ids = [...this.#rows.keys()].sort((a, b) => (place(a) - place(b)) || b - a);
    let next = this.body.firstElementChild;
    for (const id of ids) {
      const {node} = this.#rows.get(id);
      if (node === next) next = next.nextElementSibling;
      else this.body.insertBefore(node, next);
    }
    this.#moved = false;
  }

  #searchFor(text) {
    this.query.setText(text.trim());
    for (const [id, row] of this.#rows) row.node.hidden = !matches(this.#records.get(id), this.query.text);
    this.#searchPages = SEARCH_PAGES;
    this.#settle();
  }

  // Everything around the rows: counts, the empty state, "load more".
  #settle() {
    if (this.query.isWrong) {
      this.frame.hidden = this.more.hidden = true;
      setText(this.total, '');
      this.#notify(null);
      return;
    }
    const total = this.#records.size;
    const {text, state, filter} = this.query;
    const shown = text ? [...this.#records.values()].filter((record) => matches(record, text)).length : total;
    setAttribute(this.table, 'aria-label', `Experiments, ${this.query.order}`);
    for (const [node, column] of this.headings) setAttribute(node, 'aria-sort', this.query.directionOf(column));
    this.more.hidden = !this.#cursor;
    this.frame.hidden = shown === 0;
    setText(this.total, total === 0 ? '' : text
      ? `${count(shown)} of ${count(total)}${this.#cursor ? ' loaded' : ''}`
      : `${count(total)}${!this.#cursor ? '' : this.query.sort ? ' first' : ' newest'}`);
    if (text && this.#cursor && shown < SEARCH_ENOUGH && this.#searchPages-- > 0) this.#loadMore(SEARCH_PAGE);
    this.#notify(this.#error ? errorPanel(this.#error, () => this.reload())
      : shown > 0 ? null
        : filter && total === 0 ? this.#nothing('The filter holds for no experiment.')
          : text ? this.#nothing(`Nothing ${this.#cursor ? 'that is loaded ' : ''}matches “${text}”.`)
            : state ? this.#nothing(`No experiment is ${state}.`)
              : total === 0 ? welcome() : null);
  }

  #notify(panel) {
    if (panel?.textContent === this.notice.firstElementChild?.textContent) return;
    this.notice.replaceChildren(...(panel ? [panel] : []));
  }

  #nothing(text) {
    return element('section', {class: 'panel empty'}, element('p', {}, text),
      element('button', {type: 'button', class: 'button', onclick: () => {
        this.search.value = '';
        this.query.clear();
        document.querySelector('.filters input[value=""]').checked = true;
        this.#clear();
        this.reload();
      }}, 'Show all experiments'));
  }

  #fail(error) {
    if (this.query.show(error)) this.#clear();
    else this.#error = error;
    this.#settle();
  }
}

function matches(record, query) {
  if (!query) return true;
  const tags = Object.entries(record.tags ?? {}).map(([name, value]) => `${name}:${value}`).join(' ');
  const text = `#${record.id} ${record.name} ${record.state} ${summary(record.spec)} ${tags} ${record.notes ?? ''}`
    .toLowerCase();
  return query.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}

function welcome() {
  const line = curlLine(FIRST_SPEC, signedIn());
  return element('section', {class: 'panel welcome'},
    element('h2', {}, 'No experiments yet'),
    element('p', {}, 'Post a spec with curl and it appears here at once. This one trains LeNet with a gradient ',
      'penalty on the built-in digits; it needs no download and takes some seconds.'),
    element('div', {class: 'code-frame'},
      element('pre', {class: 'code', tabindex: 0, 'aria-label': 'The curl command for a first experiment'},
        element('code', {id: 'first-curl'}, line)),
      copyButton(() => line, 'Copy', 'the curl command')));
}

class Row {
  constructor(record, handlers) {
    this.record = record;
    const cell = (kind, label, ...children) =>
      element('td', {role: 'cell', class: kind.split(' ').map((word) => `column-${word}`).join(' '), 'data-label': label},
        ...children);
    this.link = element('a', {class: 'row-link', href: `#/experiments/${record.id}`});
    this.about = element('span', {class: 'row-about'});
    this.badge = badge(record.state);
    this.bar = progressBar(`Progress of experiment ${record.id}`);
    this.caption = element('span', {class: 'row-caption'});
    this.validation = cell('number validation', 'Validation');
    this.test = cell('number test', 'Test');
    this.created = element('time', {datetime: record.created_at, title: dateTime(record.created_at)});
    this.duration = cell('number duration', 'Duration');
    this.action = actionButton(() => this.record, handlers);
    this.node = element('tr', {role: 'row', 'data-id': record.id},
      element('th', {scope: 'row', role: 'rowheader', class: 'column-name'},
        element('span', {class: 'row-id'}, `#${record.id}`), element('span', {class: 'row-title'}, this.link, this.about)),
      cell('state', 'State', this.badge),
      cell('progress', 'Progress', this.bar.node, this.caption),
      this.validation, this.test,
      cell('created', 'Created', this.created), this.duration,
      cell('action', '', this.action.node));
  }

  update(record) {
    this.record = record;
    const {state, progress = {}, metrics = {}} = record;
    setText(this.link, record.name || `Experiment ${record.id}`);
    setAttribute(this.link, 'title', record.name);
    const about = (record.replay ? `replay of #${record.replay.of} · ` : '') + summary(record.spec);
    setText(this.about, about);
    setAttribute(this.about, 'title', about);
    setAttribute(this.node, 'data-state', state);
    updateBadge(this.badge, state);
    this.bar.node.hidden = state === 'queued' || state === 'succeeded';
    this.bar.update(progress.fraction, state);
    setText(this.caption, caption(record, progress));
    setAttribute(this.caption, 'title', record.error || (state === 'running' ? this.caption.textContent : null));
    const result = (part) => isRegression(record.spec) && `${part}_loss` in metrics
      ? `loss ${measured(metrics[`${part}_loss`], 3)}` : percent(metrics[`${part}_accuracy`]);
    setText(this.validation, result('validation'));
    setText(this.test, result('test'));
    for (const node of [this.validation, this.test]) {
      node.classList.toggle('missing', node.textContent === MISSING);
    }
    setText(this.created, when(record.created_at));
    const seconds = elapsed(record);
    setText(this.duration, state === 'running' && seconds !== null ? timeLeft(seconds) : duration(seconds));
    this.duration.classList.toggle('missing', this.duration.textContent === MISSING);
    this.action.update();
  }
}

function caption({state, error, cancel_requested: cancelling}, {iteration = 0, iterations, iterations_per_second: speed, eta_seconds: eta}) {
  const done = `${count(iteration)} / ${count(iterations)}`;
  switch (state) {
    case 'queued': return iteration > 0 ? `Waiting, goes on from ${count(iteration)}` : 'Waiting for a worker';
    case 'running': return cancelling ? `${done} · cancelling …` : [done,
      speed > 0 && (typeof eta === 'number' ? `${timeLeft(eta)} left` : rate(speed))].filter(Boolean).join(' · ');
    case 'paused': return `Paused at ${done}`;
    case 'succeeded': return plural(iterations ?? iteration, 'iteration');
    default: return error ? `${done} · ${error}` : `Stopped at ${done}`;
  }
}
