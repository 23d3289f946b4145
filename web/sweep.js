// One sweep: how far it is, its table with a picture of every interval, and what can be done to it.

import {deleteSweep, getSweep, getSweepTable, sweepAction, sweepTableUrl} from './api.js';
import {announce, confirm, copyButton, element, errorPanel, progressBar, redraw, setAttribute, setText}
  from './dom.js';
import {MISSING, count, dateTime, duration, number, percent, plural, timeLeft, when} from './format.js';
import {listen} from './live.js';
import {filteredAddress} from './query.js';
import {statesText, sweepBadge} from './sweeps.js';

const PAUSE = 800; // milliseconds between two readings while experiments change
const METRICS = ['test_accuracy', 'validation_accuracy', 'train_accuracy', 'test_loss', 'validation_loss', 'train_loss',
  'best.validation_accuracy', 'elapsed_seconds', 'cpu_seconds'];
const SVG = 'http://www.w3.org/2000/svg';

export function showSweep(place, signal, id) {
  document.title = `Sweep ${id} – gradreg`;
  new View(place, signal, id).reload();
}

const back = () => element('p', {class: 'back'}, element('a', {href: '#/sweeps'}, '← All sweeps'));
const isAccuracy = (metric) => metric.includes('accuracy');

// A value of the metric as people read it.
function valueText(metric, value) {
  if (value === null || value === undefined) return MISSING;
  return isAccuracy(metric) ? percent(value) : number(value);
}

// Half of an interval's width.
function halfText(metric, interval) {
  if (!interval) return '';
  const half = (interval[1] - interval[0]) / 2;
  return ` ± ${isAccuracy(metric) ? (half * 100).toFixed(2) : number(half, 2, true)}`;
}

function differenceText(metric, difference) {
  if (!difference || difference.mean === null) return MISSING;
  const sign = difference.mean > 0 ? '+' : '';
  const text = isAccuracy(metric) ? (difference.mean * 100).toFixed(2).replace('-', '−') : number(difference.mean, 3);
  return sign + text + halfText(metric, difference.interval);
}

function svg(tag, attributes, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

class View {
  #loading = 0;
  #timer = 0;
  #sweep = null;
  #table = null;
  #metric = null;
  #sort = null; // {by, descending}: what orders the table's lines; null: as the sweep has its arms
  #built = false;

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
      }, PAUSE);
    };
    const own = (record) => record.sweep?.id === id && later();
    listen(signal, {open: () => this.reload(), experiment: own, deleted: later});
    const timer = setInterval(() => this.#sweep && this.#sweep.progress.eta_seconds > 0 && later(), 3000);
    signal.addEventListener('abort', () => {
      clearTimeout(this.#timer);
      clearInterval(timer);
    });
  }

  async reload() {
    const load = ++this.#loading;
    try {
      const sweep = await getSweep(this.id);
      this.#metric ??= sweep.spec.metric;
      const table = await getSweepTable(this.id, this.#metric);
      if (load !== this.#loading || this.signal.aborted) return;
      this.#sweep = sweep;
      this.#table = table;
      this.#draw();
    } catch (error) {
      if (load !== this.#loading || this.signal.aborted) return;
      if (!this.#built || error.status === 404) {
        this.#built = false;
        this.place.replaceChildren(back(), errorPanel(error, error.status === 404 ? null : () => this.reload()));
      }
    }
  }

  #build() {
    this.#built = true;
    document.title = `${this.#sweep.name} – gradreg`;
    this.badge = element('span');
    this.actions = element('div', {class: 'experiment-actions'});
    this.bar = progressBar(`Progress of sweep ${this.id}`);
    this.line = element('p', {class: 'progress-line'});
    this.note = element('p', {class: 'resumed', hidden: true});
    this.choice = element('select', {class: 'select', onchange: () => {
      this.#metric = this.choice.value;
      history.replaceState(history.state, '', `#/sweeps/${this.id}?${new URLSearchParams({metric: this.#metric})}`);
      this.reload();
    }}, [...new Set([this.#metric, this.#sweep.spec.metric, ...METRICS])].map((name) => element('option', {value: name}, name)));
    this.downloads = element('p', {class: 'downloads'});
    this.head = element('thead');
    this.body = element('tbody');
    this.foot = element('p', {class: 'sweep-note'});
    this.place.replaceChildren(back(),
      element('div', {class: 'experiment-head'},
        element('div', {class: 'experiment-title'},
          element('div', {class: 'overline'}, `Sweep #${this.id}`, this.badge,
            element('time', {datetime: this.#sweep.created_at, title: dateTime(this.#sweep.created_at)},
              when(this.#sweep.created_at))),
          element('h1', {}, this.#sweep.name),
          element('p', {class: 'about'}, `${this.#sweep.strategy}, ${plural(this.#sweep.arms, 'arm')} · `,
            element('a', {href: filteredAddress(`sweep = ${this.id}`)}, plural(this.#sweep.experiments, 'experiment')))),
        this.actions),
      element('section', {class: 'panel status-panel'}, this.bar.node, this.line, this.note),
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
    const {state, states, ended, experiments, progress, note} = this.#sweep;
    this.badge.replaceChildren(sweepBadge(state));
    this.bar.update(state === 'finished' ? 1 : progress.fraction, state === 'finished' ? 'succeeded' : 'running');
    const eta = progress.eta_seconds;
    setText(this.line, [`${count(ended)} of ${plural(experiments, 'experiment')}`, statesText(states),
      `${duration(progress.elapsed_seconds)} of training`, eta > 0 && `about ${timeLeft(eta)} left`]
      .filter(Boolean).join(' · '));
    this.note.hidden = !note;
    setText(this.note, note ?? '');
    this.#drawActions();
    this.#drawTable();
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
        () => this.#perform(() => deleteSweep(this.id), true)), 'quiet'));
    }
    const key = buttons.map((one) => one.textContent).join();
    if (key === this.actionKey) return;
    this.actionKey = key;
    this.actions.replaceChildren(...buttons);
  }

  async #asked(title, text, action, run) {
    if (await confirm({title, text, action, danger: true})) run();
  }

  async #perform(run, leaves = false) {
    try {
      await run();
      if (leaves) location.hash = '#/sweeps';
      else await this.reload();
    } catch (error) {
      announce(error.message);
      setText(this.note, error.message);
      this.note.hidden = false;
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
    const titles = headings.map(({title}) => title).join('\n');
    if (titles !== this.headTitles) {
      this.headTitles = titles;
      this.head.replaceChildren(element('tr', {}, headings.map(({title, text, by}) =>
        element('th', {scope: 'col', class: text ? 'text' : null}, by ?
          element('button', {type: 'button', class: 'sort', onclick: () => this.#sortBy(by)}, title) : title))));
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
    const {metric, cells, rows, columns, baseline, confidence, tests} = this.#table;
    const several = columns.labels.length > 1;
    const compared = baseline !== null;
    const bounds = range(cells);
    const headings = [{title: rows.axes, text: true}, several && {title: columns.axes, text: true},
      {title: 'n', by: 'n'}, {title: metric, by: 'mean'},
      {title: `${Math.round(confidence * 100)} % interval`, text: true},
      compared && {title: 'Difference', by: 'difference'},
      compared && {title: 'p (Holm)', by: 'p'},
      compared && {title: 'Verdict', text: true}].filter(Boolean);
    this.#drawHead(headings);
    redraw(this.body, this.#ordered(cells).map((cell) => {
      const arm = `sweep = ${this.id} AND arm = ${cell.arm}`;
      const bad = Object.entries(cell.states).filter(([state]) => ['failed', 'diverged', 'cancelled'].includes(state))
        .map(([state, some]) => element('a', {class: 'sweep-bad', href: filteredAddress(arm, state)}, `${count(some)} ${state}`));
      if (cell.not_finite) bad.push(element('span', {class: 'sweep-bad'}, `${count(cell.not_finite)} without a value`));
      const p = cell.difference?.p_holm;
      return element('tr', {'data-verdict': cell.verdict, 'data-arm': cell.arm},
        element('th', {scope: 'row'}, element('a', {href: filteredAddress(arm), title: 'The experiments of this arm'},
          rows.labels[cell.row])),
        several && element('td', {class: 'text'}, columns.labels[cell.column]),
        element('td', {}, count(cell.n), bad),
        element('td', {class: 'sweep-value'}, valueText(metric, cell.mean) + halfText(metric, cell.interval)),
        element('td', {class: 'sweep-plot'}, plot(cell, bounds, metric)),
        compared && element('td', {}, differenceText(metric, cell.difference)),
        compared && element('td', {}, p === null || p === undefined ? '' : p < 0.0001 ? '< 0.0001' : number(p, 2)),
        compared && element('td', {class: 'text'}, cell.verdict ?
          element('span', {class: 'verdict', 'data-verdict': cell.verdict}, VERDICTS[cell.verdict] ?? cell.verdict) : ''));
    }));
    const words = [`Mean over seeds ± half of its ${Math.round(confidence * 100)} % interval (Student's t); each dot is a seed.`];
    if (compared) {
      words.push(`Differences are paired by seed; p is that of the paired t-test with Holm's correction for ${plural(tests, 'test')}.`);
    }
    setText(this.foot, words.join(' '));
    redraw(this.downloads, ['csv', 'markdown', 'latex', 'json'].map((format) =>
      element('a', {href: sweepTableUrl(this.id, format, metric),
        download: `sweep-${this.id}.${{markdown: 'md', latex: 'tex'}[format] ?? format}`},
      {csv: 'CSV', markdown: 'Markdown', latex: 'LaTeX', json: 'JSON'}[format])));
  }
}

const SORT_KEYS = {n: (cell) => cell.n, mean: (cell) => cell.mean, difference: (cell) => cell.difference?.mean,
  p: (cell) => cell.difference?.p_holm};
const VERDICTS = {better: '▲ better', worse: '▼ worse', higher: '▲ higher', lower: '▼ lower',
  inconclusive: 'inconclusive', baseline: 'baseline'};

// The values that all pictures of a table share.
function range(cells) {
  const all = cells.flatMap((cell) => [...(cell.interval ?? []), ...cell.values.map(([, value]) => value)]);
  if (all.length === 0) return [0, 1];
  const low = Math.min(...all), high = Math.max(...all);
  const room = (high - low) * 0.04 || Math.abs(high) * 0.01 || 1;
  return [low - room, high + room];
}

// Mean, interval and seeds of one cell on the scale of all.
function plot(cell, [low, high], metric) {
  const at = (value) => (100 * (value - low) / (high - low)).toFixed(2) + '%';
  const picture = svg('svg', {class: 'interval-plot', role: 'img', height: 26, width: '100%', 'aria-label': cell.n === 0
    ? 'no value yet' : `mean ${valueText(metric, cell.mean)}${halfText(metric, cell.interval)}`});
  picture.append(svg('line', {class: 'plot-axis', x1: '0%', x2: '100%', y1: 13, y2: 13}));
  for (const [seed, value] of cell.values) {
    const dot = svg('circle', {class: 'plot-seed', cx: at(value), cy: 21, r: 2.5});
    dot.append(svg('title', {}, `seed ${seed}: ${valueText(metric, value)}`));
    picture.append(dot);
  }
  if (cell.interval) {
    picture.append(svg('line', {class: 'plot-interval', x1: at(cell.interval[0]), x2: at(cell.interval[1]), y1: 13, y2: 13}));
    for (const end of cell.interval) picture.append(svg('line', {class: 'plot-interval', x1: at(end), x2: at(end), y1: 8, y2: 18}));
  }
  if (cell.mean !== null) picture.append(svg('circle', {class: 'plot-mean', cx: at(cell.mean), cy: 13, r: 5}));
  return picture;
}
