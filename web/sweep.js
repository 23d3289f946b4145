// One sweep: how far it is, its table with a picture of every interval, and what can be done to it.

import {deleteSweep, getSweep, getSweepTable, sweepAction, sweepTableUrl} from './api.js';
import {confirm, copyButton, element, errorPanel, progressBar, redraw, setAttribute, setText} from './dom.js';
import {count, dateTime, duration, isRegression, measured, number, plural, timeLeft, when} from './format.js';
import {rungsTable} from './halving.js';
import {intervalPicture, scaleOf, scalePicture} from './intervals.js';
import {listen} from './live.js';
import {factorOf, isAccuracy, metricHeading, metricText, unitOf} from './measure.js';
import {filteredAddress} from './query.js';
import {isHalved, statesText, sweepBadge, sweepKind} from './sweeps.js';

// Milliseconds between two readings while experiments change: a table of many arms is drawn less often.
const pauseFor = (arms) => Math.min(800 + 20 * arms, 5000);
const METRICS = ['test_accuracy', 'validation_accuracy', 'train_accuracy', 'test_loss', 'validation_loss', 'train_loss',
  'best.validation_accuracy', 'elapsed_seconds', 'cpu_seconds'];

export function showSweep(place, signal, id) {
  document.title = `Sweep ${id} – gradreg`;
  new View(place, signal, id).reload();
}

const back = () => element('p', {class: 'back'}, element('a', {href: '#/sweeps'}, '← All sweeps'));

// Whether an arm was tested against its baseline.
const isTested = ({difference}) => typeof difference?.p_holm === 'number';

class View {
  #loading = 0;
  #timer = 0;
  #sweep = null;
  #table = null;
  #metric = null;
  #sort = null; // {by, descending}: what orders the table's lines; null: as the sweep has its arms
  #built = false;
  #lines = new Map(); // arm → {key, node}: what is drawn of it, and from what

  constructor(place, signal, id) {
    this.place = place;
    this.signal = signal;
    this.id = id;
    this.#metric = new URLSearchParams(location.hash.split('?')[1] ?? '').get('metric');
    place.append(back(), element('p', {class: 'loading', role: 'status'}, 'Loading …'));
    const later = () => {
      this.#timer ||= setTimeout(() => {
        this.#timer = 0;
        if (!signal.aborted) this.reload();
      }, pauseFor(this.#sweep?.arms ?? 0));
    };
    const own = (record) => record.sweep?.id === id && later();
    const again = () => {
      this.#complain('');
      this.reload();
    };
    listen(signal, {open: again, experiment: own, deleted: later});
    const timer = setInterval(() => this.#sweep && this.#sweep.progress.eta_seconds > 0 && later(), 3000);
    signal.addEventListener('abort', () => {
      clearTimeout(this.#timer);
      clearInterval(timer);
    });
  }

  async reload() {
    try {
      await this.#read();
    } catch (error) {
      if (error.status === 404) this.#leave(`There is no sweep ${this.id}`, 'It was never submitted, or it has been deleted.');
      else if (!this.#built && error.status === 400) this.#leave(`Sweep ${this.id}`, error.message, `#/sweeps/${this.id}`);
      else if (!this.#built) this.place.replaceChildren(back(), errorPanel(error, () => this.reload()));
    }
  }

  // Where it fails, what is shown stays, and the menu says of which metric that is.
  async #read() {
    const load = ++this.#loading;
    const stale = () => load !== this.#loading || this.signal.aborted;
    try {
      const sweep = await getSweep(this.id);
      const table = await getSweepTable(this.id, this.#metric ?? sweep.spec.metric);
      if (stale()) return;
      this.#sweep = sweep;
      this.#table = table;
    } catch (error) {
      if (stale()) return;
      if (this.#built) this.#metric = this.choice.value = this.#table.metric;
      throw error;
    }
    this.#metric = this.#table.metric;
    this.#draw();
  }

  // The page of a sweep that cannot be shown; `address`: of what can be instead.
  #leave(title, text, address = null) {
    this.#built = false;
    this.place.replaceChildren(back(), element('section', {class: 'panel empty'}, element('h1', {}, title),
      element('p', {}, text), element('a', {class: 'button', href: address ?? '#/sweeps'},
        address ? 'Show it with its own metric' : 'All sweeps')));
  }

  #complain(text) {
    if (!this.#built) return;
    setText(this.problem, text);
    this.problem.hidden = !text;
  }

  // Does what a person asked for, reads what became of it, and says why where it fails.
  async #perform(run) {
    this.#complain('');
    try {
      await run();
      await this.#read();
    } catch (error) {
      this.#complain(error.message);
    }
  }

  #build() {
    this.#built = true;
    this.headKey = this.actionKey = null;
    document.title = `${this.#sweep.name} – gradreg`;
    this.title = element('h1', {tabindex: -1}, this.#sweep.name);
    this.badge = element('span');
    this.actions = element('div', {class: 'experiment-actions'});
    this.bar = progressBar(`Progress of sweep ${this.id}`);
    this.line = element('p', {class: 'progress-line'});
    this.note = element('p', {class: 'resumed', hidden: true});
    this.problem = element('p', {class: 'problem', role: 'alert', hidden: true});
    const {base, metric} = this.#sweep.spec;
    const known = isRegression(base) ? METRICS.filter((name) => !isAccuracy(name)) : METRICS;
    this.choice = element('select', {class: 'select', onchange: () => this.#choose(this.choice.value)},
      [...new Set([this.#metric, metric, ...known])].map((name) => element('option', {value: name}, name)));
    this.downloads = element('p', {class: 'downloads'});
    this.head = element('thead');
    this.body = element('tbody');
    this.foot = element('p', {class: 'sweep-note'});
    this.rungsHead = element('thead');
    this.rungsBody = element('tbody');
    this.rungsFoot = element('p', {class: 'sweep-note'});
    this.rungs = element('section', {class: 'panel sweep-table', hidden: true},
      element('header', {class: 'sweep-table-head'}, element('h2', {}, 'Rungs')),
      element('div', {class: 'sweep-frame', tabindex: 0, role: 'region', 'aria-label': 'Table of the rungs'},
        element('table', {}, this.rungsHead, this.rungsBody)), this.rungsFoot);
    this.place.replaceChildren(back(),
      element('div', {class: 'experiment-head'},
        element('div', {class: 'experiment-title'},
          element('div', {class: 'overline'}, `Sweep #${this.id}`, this.badge,
            element('time', {datetime: this.#sweep.created_at, title: dateTime(this.#sweep.created_at)},
              when(this.#sweep.created_at))),
          this.title,
          element('p', {class: 'about'}, `${this.#sweep.strategy}, ${plural(this.#sweep.arms, 'arm')} · `,
            element('a', {href: filteredAddress(`sweep = ${this.id}`)}, plural(this.#sweep.experiments, 'experiment')))),
        this.actions),
      element('section', {class: 'panel status-panel'}, this.bar.node, this.line, this.note, this.problem), this.rungs,
      element('section', {class: 'panel sweep-table'},
        element('header', {class: 'sweep-table-head'}, element('h2', {}, 'Comparison'),
          element('label', {}, 'Metric ', this.choice), this.downloads),
        element('div', {class: 'sweep-frame', tabindex: 0, role: 'region', 'aria-label': 'Table of the arms'},
          element('table', {}, this.head, this.body)), this.foot),
      element('section', {class: 'panel code-panel'},
        element('header', {}, element('h2', {}, 'Spec'),
          copyButton(() => JSON.stringify(this.#sweep.spec, null, 2), 'Copy', 'the sweep')),
        element('pre', {class: 'code', tabindex: 0, 'aria-label': 'The spec of the sweep'},
          element('code', {}, JSON.stringify(this.#sweep.spec, null, 2)))));
  }

  #draw() {
    if (!this.#built) this.#build();
    const {state, ended, experiments, progress, note} = this.#sweep;
    this.badge.replaceChildren(sweepBadge(this.#sweep));
    const finished = state === 'finished';
    this.bar.update(finished ? 1 : progress.fraction, finished ? sweepKind(this.#sweep) : 'running');
    const eta = progress.eta_seconds;
    setText(this.line, [`${count(ended)} of ${plural(experiments, 'experiment')}`, statesText(this.#sweep),
      `${duration(progress.elapsed_seconds)} of training`, eta > 0 && `about ${timeLeft(eta)} left`]
      .filter(Boolean).join(' · '));
    this.note.hidden = !note;
    setText(this.note, note ?? '');
    this.#drawActions();
    this.#drawRungs();
    this.#drawTable();
  }

  // The metric of the table: the menu and the address follow what could be read.
  async #choose(metric) {
    this.#metric = metric;
    await this.#perform(() => {});
    history.replaceState(history.state, '', `#/sweeps/${this.id}?${new URLSearchParams({metric: this.#metric})}`);
  }

  #drawRungs() {
    this.rungs.hidden = this.#sweep.rungs.length === 0;
    if (this.rungs.hidden) return;
    const {head, rows, note} = rungsTable(this.#sweep);
    redraw(this.rungsHead, head);
    redraw(this.rungsBody, rows);
    setText(this.rungsFoot, note);
  }

  #drawActions() {
    const {state, states} = this.#sweep;
    const button = (word, run, kind = '') =>
      element('button', {type: 'button', class: `button ${kind}`, onclick: run}, word);
    const act = (name) => () => this.#perform(() => sweepAction(this.id, name));
    const open = state === 'queued' || state === 'running';
    const buttons = [];
    if (open) buttons.push(button('Pause', act('pause')));
    if (state === 'paused' || state === 'pausing') buttons.push(button('Resume', act('resume'), 'primary'));
    if (states.failed > 0 && this.#sweep.strategy !== 'asha') buttons.push(button(`Retry ${states.failed} failed`, act('retry')));
    if (open || state === 'paused' || state === 'pausing') {
      buttons.push(button('Cancel', () => this.#asked('Cancel this sweep?',
        'Its experiments stop within one batch. What has ended is kept.', 'Cancel the sweep', act('cancel')), 'quiet'));
    } else if (state !== 'cancelling') {
      buttons.push(button('Delete', () => this.#asked('Delete this sweep?',
        'The sweep and all its experiments leave every list for the trash; what is undeleted of it brings it back.', 'Delete the sweep',
        () => this.#delete()), 'quiet'));
    }
    const key = buttons.map((one) => one.textContent).join();
    if (key === this.actionKey) return;
    this.actionKey = key;
    const focused = this.actions.contains(document.activeElement);
    this.actions.replaceChildren(...buttons);
    if (focused) (buttons[0] ?? this.title).focus({preventScroll: true});
  }

  async #asked(title, text, action, run) {
    if (await confirm({title, text, action, danger: true})) run();
  }

  async #delete() {
    try {
      await deleteSweep(this.id);
      location.hash = '#/sweeps';
    } catch (error) {
      this.#complain(error.message);
    }
  }

  // A click on a heading that orders the lines: downwards, upwards, as they were.
  #sortBy(by) {
    if (this.#sort?.by !== by) this.#sort = {by, descending: true};
    else this.#sort = this.#sort.descending ? {by, descending: false} : null;
    this.#drawTable();
  }

  // Rebuilt only where it differs, so that the focus stays on a heading while experiments end.
  #drawHead(headings) {
    const key = JSON.stringify(headings.map(({title, scale}) => [title, scale]));
    if (key !== this.headKey) {
      this.headKey = key;
      this.head.replaceChildren(element('tr', {}, headings.map(({title, text, by, scale}) =>
        element('th', {scope: 'col', class: text ? 'text' : null}, by ?
          element('button', {type: 'button', class: 'sort', onclick: () => this.#sortBy(by)}, title) : title,
        scale && scalePicture(scale)))));
    }
    headings.forEach(({by}, i) => setAttribute(this.head.rows[0].cells[i], 'aria-sort',
      by && by === this.#sort?.by && (this.#sort.descending ? 'descending' : 'ascending')));
  }

  // What has no value comes last, in both directions; equals as the sweep has them.
  #ordered(cells) {
    if (!this.#sort) return cells;
    const key = SORT_KEYS[this.#sort.by], sign = this.#sort.descending ? -1 : 1;
    const missing = (value) => value === null || value === undefined;
    return [...cells].sort((a, b) => {
      const [x, y] = [key(a), key(b)];
      return missing(x) || missing(y) ? missing(x) - missing(y) : sign * (x - y);
    });
  }

  #drawTable() {
    const {metric, cells, rows, columns, baseline, confidence} = this.#table;
    const several = columns.labels.length > 1, compared = baseline !== null;
    const scale = scaleOf(cells, factorOf(metric));
    this.#drawHead([{title: axesText(rows.axes, this.#sweep.spec.axes), text: true},
      several && {title: axesText(columns.axes, this.#sweep.spec.axes), text: true},
      {title: 'n', by: 'n'}, {title: metricHeading(metric), by: 'mean'},
      {title: `${percentage(confidence)} interval`, text: true, scale},
      compared && {title: 'Difference', by: 'difference'},
      compared && {title: 'p (Holm)', by: 'p'},
      compared && {title: 'Verdict', text: true}].filter(Boolean));
    const shared = {scale, several, compared, halved: isHalved(this.#sweep)};
    const common = JSON.stringify([metric, shared]);
    redraw(this.body, this.#ordered(cells).map((cell) => {
      const key = common + JSON.stringify(cell);
      if (this.#lines.get(cell.arm)?.key !== key) {
        this.#lines.set(cell.arm, {key, node: this.#lineOf(cell, shared)});
      }
      return this.#lines.get(cell.arm).node;
    }));
    setText(this.foot, notesText(this.#table, shared.halved));
    redraw(this.downloads, ['csv', 'markdown', 'latex', 'json'].map((format) =>
      element('a', {href: sweepTableUrl(this.id, format, metric),
        download: `sweep-${this.id}.${{markdown: 'md', latex: 'tex'}[format] ?? format}`},
      {csv: 'CSV', markdown: 'Markdown', latex: 'LaTeX', json: 'JSON'}[format])));
  }

  #lineOf(cell, {scale, several, compared, halved}) {
    const {metric, rows, columns} = this.#table;
    const arm = `sweep = ${this.id} AND arm = ${cell.arm}`;
    const others = Object.entries(cell.states).filter(([state]) => ['failed', 'diverged', 'cancelled'].includes(state))
      .map(([state, some]) => {
        const stopped = state === 'cancelled' && halved;
        return element('a', {class: stopped ? 'sweep-stopped' : 'sweep-bad', href: filteredAddress(arm, state)},
          `${count(some)} ${stopped ? 'stopped' : state}`);
      });
    if (cell.not_finite) others.push(element('span', {class: 'sweep-bad'}, `${count(cell.not_finite)} without a value`));
    const {difference, verdict} = cell;
    const value = metricText(metric, cell.mean, cell.interval);
    const word = difference && !isTested(cell) ? 'not tested' : verdict;
    return element('tr', {'data-verdict': verdict, 'data-arm': cell.arm},
      element('th', {scope: 'row'}, element('a', {href: filteredAddress(arm), title: 'The experiments of this arm'},
        rows.labels[cell.row])),
      several && element('td', {class: 'text'}, columns.labels[cell.column]),
      element('td', {}, count(cell.n), others),
      element('td', {class: 'sweep-value'}, value),
      element('td', {class: 'sweep-plot'}, intervalPicture(cell, scale, (one) => metricText(metric, one),
        cell.n === 0 ? 'no value yet' : `mean ${value} ${unitOf(metric)}`.trim())),
      compared && element('td', {}, difference ? metricText(metric, difference.mean, difference.interval, true) : ''),
      compared && element('td', {}, isTested(cell) ? pText(difference.p_holm) : ''),
      compared && element('td', {class: 'text'}, word && element('span', {class: 'verdict', 'data-verdict': verdict}, word)));
  }
}

const SORT_KEYS = {n: (cell) => cell.n, mean: (cell) => cell.mean, difference: (cell) => cell.difference?.mean,
  p: (cell) => cell.difference?.p_holm};

const percentage = (share) => `${number(share * 100, 6)}\u00a0%`;
const pText = (p) => p < 0.0001 ? '< 0.0001' : measured(p, 2);

// An axis without a name is called by the last part of its pointer: a place in a list says nothing without the list.
const axesText = (names, axes) => names.split(', ').map((name) => {
  const values = /^(\d+|-)$/.test(name) && axes.find((axis) => axis.name === name)?.values;
  const [pointer = name] = Object.keys(values?.[0]?.set ?? {});
  return values ? pointer.split('/').slice(-2).join('/') : name;
}).join(', ');

// What the table shows, by what it tells better from worse, and what it leaves out.
function notesText({cells, baseline, confidence, tests}, halved) {
  const sum = (of) => cells.reduce((some, cell) => some + (of(cell) ?? 0), 0);
  const inState = (state) => sum(({states}) => states[state]);
  const without = [[inState('diverged'), 'diverged'], [inState('failed'), 'failed'],
    [inState('cancelled'), halved ? 'stopped' : 'cancelled'],
    [sum(({not_finite: some}) => some), 'that succeeded and have no finite value of it']]
    .filter(([some]) => some > 0).map(([some, what]) => `${count(some)} ${what}`);
  const open = inState('queued') + inState('running') + inState('paused');
  return [
    `Mean over seeds ± half of its ${percentage(confidence)} interval (Student’s t); each dot is a seed.`,
    baseline && 'Differences are paired by seed.',
    baseline && (tests > 0
      ? `p is that of the paired t-test with Holm’s correction for ${plural(tests, 'test')}; a verdict needs p\u00a0<\u00a0${number(1 - confidence, 4)}.`
      : 'Nothing is tested: a test needs two seeds that an arm and its baseline both have a value of.'),
    without.length > 0 && `Without ${without.join(', ')}.`,
    open > 0 && `${count(open)} ${open === 1 ? 'has' : 'have'} not ended yet.`,
  ].filter(Boolean).join(' ');
}
