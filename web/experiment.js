// One experiment: what it is, how far it is, its curves, its spec, and the command that made it.

import {showAnalysis} from './analysis.js';
import {actionButton, isCancellable, lifeButtons} from './actions.js';
import {getExperiment, getMetrics, logUrl, modelUrl, predictionsUrl, signedIn} from './api.js';
import {Chart, Zoom} from './charts.js';
import {announce, badge, copyButton, element, errorPanel, progressBar, redraw, setAttribute, setText, updateBadge}
  from './dom.js';
import {MISSING, count, curlLine, dateTime, duration, elapsed, isRegression, measured, number, percent, rate,
  regularizer, summary, timeLeft, toNumber, when} from './format.js';
import {listen, live} from './live.js';
import {listAddress} from './query.js';

export function showExperiment(place, signal, id) {
  document.title = `#${id} – gradreg`;
  new View(place, signal, id).reload();
}

const NAMES = {train_loss: 'Training', validation_loss: 'Validation', test_loss: 'Test', train_objective: 'Objective',
  train_accuracy: 'Training', validation_accuracy: 'Validation', test_accuracy: 'Test'};

// The charts, and which series each of them shows.
const KINDS = [
  {title: 'Loss', kind: 'value', preference: 'loss', log: true, of: (name) => /_(loss|objective)$/.test(name)},
  {title: 'Accuracy', kind: 'accuracy', preference: 'accuracy', of: (name) => name.endsWith('_accuracy')},
  {title: 'Penalties, unweighted', kind: 'value', preference: 'penalty', log: true, of: (name) => name.startsWith('penalty.')},
  {title: 'Other measures', kind: 'value', preference: 'other', log: true, of: () => true},
];

// Which of KINDS shows a series; none of them what an analysis measured, once: that is in its own section.
function kindOf(name) {
  const isOnce = name.includes('.') && !name.startsWith('penalty.');
  return isOnce ? KINDS.length : KINDS.findIndex(({of}) => of(name));
}

const MOST_POINTS = 1000; // of each series: a chart is not wider
const ROWS = 200;         // of the table of values at first, and more each time

class View {
  #record = null;
  #series = new Map(); // name → Map(iteration → value), also of attempts that a later one has taken the place of
  #reached = 0;        // iteration that the present attempt has come to: what is after it does not count
  #charts = [];
  #built = false;
  #gone = false;
  #loading = 0;
  #frame = 0;
  #rows = ROWS;
  #complete = 0; // iteration after which no value has been left out
  #isFilling = false;

  constructor(place, signal, id) {
    this.place = place;
    this.signal = signal;
    this.id = id;
    this.place.append(element('p', {class: 'loading', role: 'status'}, 'Loading …'));
    listen(signal, {
      open: () => this.reload(),
      experiment: (record) => record.id === id && (this.#gone ? this.#return() : this.#take(record)),
      progress: (progress) => progress.id === id && this.#advance(progress),
      metrics: ({id: of, iteration, values}) => of === id && this.#add(iteration, values),
      deleted: ({id: of}) => of === id && this.#leave(),
    });
    // Without a connection nobody knows whether it still runs: its clock stands.
    const timer = setInterval(() => live.status === 'live' && this.#record?.state === 'running' && this.#schedule(), 1000);
    signal.addEventListener('abort', () => clearInterval(timer));
  }

  async reload() {
    const load = ++this.#loading;
    const change = live.change;
    try {
      const [record, metrics] = await Promise.all([getExperiment(this.id), getMetrics(this.id, {max_points: MOST_POINTS})]);
      if (load !== this.#loading || this.signal.aborted) return;
      const loaded = Object.values(metrics.series);
      const isThinned = loaded.some((points) => points.length >= MOST_POINTS);
      this.#complete = isThinned ? Math.max(...loaded.map((points) => points.at(-1)[0])) : 0;
      this.#putAll(metrics.series);
      // An event that came while the answer was on its way is newer than the answer.
      if (!this.#record || !live.changedSince(this.id, change)) this.#take({...record, received: Date.now()});
      else this.#schedule();
    } catch (error) {
      if (load !== this.#loading || this.signal.aborted) return;
      if (error.status === 404) this.#leave();
      else if (!this.#built) this.place.replaceChildren(back(), errorPanel(error, () => this.reload()));
    }
  }

  #take(record) {
    const {state: before, attempt} = this.#record ?? {};
    const {iteration = 0} = record.progress ?? {};
    // A record may be older than the events of the same attempt.
    const goesOn = record.state === 'running' && record.attempt === attempt;
    this.#reached = goesOn ? Math.max(this.#reached, iteration) : iteration;
    this.#record = record;
    if (before && before !== record.state) announce(`Experiment ${this.id} is ${record.state}`);
    this.#schedule();
  }

  #advance(progress) {
    if (this.#record?.state !== 'running') return;
    this.#record.progress = {...this.#record.progress, ...progress};
    this.#reached = Math.max(this.#reached, progress.iteration ?? 0);
    this.#schedule();
  }

  #add(iteration, values) {
    for (const [name, value] of Object.entries(values ?? {})) this.#put(name, iteration, value);
    this.#reached = Math.max(this.#reached, iteration);
    this.#schedule();
  }

  // By (name, iteration): a resumed run repeats rows, and a stream may repeat what was read before.
  #put(name, iteration, value) {
    if (!this.#series.has(name)) this.#series.set(name, new Map());
    this.#series.get(name).set(iteration, toNumber(value));
  }

  #putAll(series) {
    for (const [name, points] of Object.entries(series)) {
      for (const [iteration, value] of points) this.#put(name, iteration, value);
    }
  }

  // [[iteration, value], …] in order.
  #points(name) {
    return [...this.#series.get(name) ?? []].filter(([iteration]) => iteration <= this.#reached).sort(([a], [b]) => a - b);
  }

  #schedule() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      if (!this.signal.aborted && this.#record && !this.#gone) this.#draw();
    });
  }

  #leave() {
    this.#gone = true;
    document.title = `#${this.id} – gradreg`;
    const heading = element('h1', {tabindex: -1}, `There is no experiment ${this.id}`);
    this.place.replaceChildren(back(), element('section', {class: 'panel empty'}, heading,
      element('p', {}, this.#built ? 'It has just been deleted.' : 'It was never submitted, or it has been deleted.'),
      element('a', {class: 'button', href: listAddress()}, 'All experiments')));
    if (this.#built) heading.focus({preventScroll: true});
  }

  // Somebody has taken it out of the trash.
  #return() {
    this.#gone = this.#built = false;
    this.#charts = [];
    this.#series.clear();
    this.reload();
  }

  // -- the page, built once --------------------------------------------------------------------------------

  #build() {
    this.#built = true;
    const {spec, name, sweep} = this.#record;
    const text = (kind) => element('span', {class: kind});
    this.title = element('h1', {});
    this.badge = badge(this.#record.state);
    this.about = element('p', {class: 'about'});
    this.action = actionButton(() => this.#record, {
      cancelled: (after) => this.#take(after),
      deleted: () => this.#leave(),
    }, '');
    this.life = lifeButtons(() => this.#record, (after) => this.#take(after));
    this.origin = element('p', {class: 'resumed', hidden: true});
    this.download = element('a', {class: 'button primary', href: modelUrl(this.id), download: `experiment-${this.id}.safetensors`,
      hidden: true}, 'Download model');
    this.predictions = element('a', {class: 'button', href: predictionsUrl(this.id),
      download: `experiment-${this.id}-test.csv`, title: 'What the model answers for each test sample, as CSV', hidden: true},
    'Predictions');
    this.bar = progressBar(`Progress of experiment ${this.id}`);
    this.fraction = text('progress-percent');
    this.steps = text('progress-steps');
    this.speed = text('progress-speed');
    this.left = text('progress-left');
    this.problem = element('p', {class: 'problem', role: 'alert', hidden: true});
    this.warning = element('p', {class: 'problem warning', role: 'status', hidden: true});
    this.resumed = element('p', {class: 'resumed', hidden: true});

    this.regression = isRegression(spec);
    this.figures = {};
    const figure = (key, label, kind = '') => {
      this.figures[key] = element('dd', {});
      return element('div', {class: `figure ${kind}`.trim()}, element('dt', {}, label), this.figures[key]);
    };
    const figures = element('dl', {class: 'figures'},
      figure('test', this.regression ? 'Test loss' : 'Test accuracy', 'figure-large'), figure('validation', 'Validation'),
      figure('train', 'Training'), this.regression ? null : figure('loss', 'Training loss'), figure('duration', 'Duration'));
    const facts = element('dl', {class: 'facts'}, ['worker', 'attempt', 'created', 'started', 'finished', 'engine'].map((key) =>
      figure(key, key[0].toUpperCase() + key.slice(1))));
    this.tags = element('ul', {class: 'tags', 'aria-label': 'Tags'});
    this.notes = element('p', {class: 'notes'});

    this.chartRow = element('div', {class: 'charts'});
    this.analysis = element('section', {class: 'analysis', 'aria-label': 'Analysis'});
    this.older = element('button', {type: 'button', class: 'button small', hidden: true, onclick: () => {
      this.#rows += ROWS;
      this.#drawValues();
    }}, 'Older values');
    this.values = element('details', {class: 'panel values', ontoggle: () => this.#drawValues()},
      element('summary', {}, 'Values as a table'), element('div', {class: 'values-frame'}),
      element('p', {class: 'values-foot'}, this.older));

    const document_ = {...(name && !spec?.name ? {name} : {}), ...spec};
    const pretty = JSON.stringify(document_, null, 2);
    const curl = curlLine(document_, signedIn());
    const code = (heading, what, content, id) => element('section', {class: 'panel code-panel'},
      element('header', {}, element('h2', {}, heading), copyButton(() => content, 'Copy', what)),
      element('pre', {class: 'code', tabindex: 0, 'aria-label': heading}, element('code', {id}, content)));

    this.place.replaceChildren(back(),
      element('div', {class: 'experiment-head'},
        element('div', {class: 'experiment-title'},
          element('p', {class: 'overline'}, `#${this.id}`, this.badge, sweep && element('span', {}, 'of ',
            element('a', {href: `#/sweeps/${sweep.id}`}, `sweep #${sweep.id}`), `, seed ${sweep.seed}`)), this.title, this.about, this.tags, this.notes),
        element('div', {class: 'experiment-actions'}, this.download, this.predictions,
          element('a', {class: 'button quiet', href: logUrl(this.id), target: '_blank', rel: 'noopener'}, 'Log'),
          ...this.life.nodes, this.action.node)),
      element('section', {class: 'panel status-panel', 'aria-label': 'State and results'},
        element('div', {class: 'status-progress'}, this.bar.node,
          element('p', {class: 'progress-line'}, this.fraction, this.steps, this.speed, this.left)),
        this.problem, this.warning, this.resumed, this.origin, element('div', {class: 'results'}, figures, facts)),
      element('h2', {class: 'visually-hidden'}, 'Curves'), this.chartRow, this.values, this.analysis,
      element('div', {class: 'code-row'},
        code('Command', 'the curl command', curl, 'curl-line'),
        code('Canonical spec', 'the spec', pretty, 'spec')));
  }

  // -- the page, as often as something changes --------------------------------------------------------------

  #draw() {
    if (!this.#built) this.#build();
    const record = this.#record;
    const {state, progress = {}} = record;
    const title = record.name || `Experiment ${this.id}`;
    setText(this.title, title);
    setText(this.about, summary(record.spec));
    const tags = Object.entries(record.tags ?? {});
    redraw(this.tags, tags.map(([key, value]) => element('li', {}, element('b', {}, key), ` ${value}`)));
    this.tags.hidden = tags.length === 0;
    setText(this.notes, record.notes ?? '');
    this.notes.hidden = !record.notes;
    updateBadge(this.badge, state);
    this.action.update();
    this.life.update();
    this.download.hidden = this.predictions.hidden = state !== 'succeeded';

    const fraction = progress.fraction ?? 0;
    const running = state === 'running';
    this.bar.update(fraction, state);
    setText(this.fraction, `${Math.floor(fraction * 100 + 1e-9)}\u00a0%`);
    setText(this.steps, `${count(progress.iteration ?? 0)} of ${count(progress.iterations)} iterations`);
    setText(this.speed, running && !record.cancel_requested ? rate(progress.iterations_per_second).replace(MISSING, '') : '');
    setText(this.left, running && record.cancel_requested ? 'Cancelling …' : running && record.pause_requested ? 'Pausing …' : running && progress.iterations_per_second > 0 && typeof progress.eta_seconds === 'number'
      ? `${timeLeft(progress.eta_seconds)} left` : state === 'queued' ? 'Waiting for a worker' : '');
    document.title = `${running ? `${Math.floor(fraction * 100)} % · ` : ''}${title} – gradreg`;

    setText(this.problem, record.error ?? '');
    this.problem.hidden = !record.error;
    setText(this.warning, record.warning ?? '');
    this.warning.hidden = !record.warning;
    const from = record.resumed_from_iteration;
    this.resumed.hidden = !(from > 0);
    setText(this.resumed, from > 0 ? `Resumed from the checkpoint at iteration ${count(from)}.` : '');

    this.#drawOrigin();

    const latest = (name) => this.#points(name).at(-1)?.[1];
    const result = (part) => this.regression ? measured(latest(`${part}_loss`)) : percent(latest(`${part}_accuracy`));
    const figures = {test: result('test'), validation: result('validation'), train: result('train'),
      ...(!this.regression && {loss: measured(latest('train_loss'))}), worker: record.worker || MISSING,
      attempt: record.attempt > 0 ? count(record.attempt) : MISSING};
    // What a result's last bits follow from: that of the last attempt.
    const environment = record.environment;
    figures.engine = environment?.engine || MISSING;
    setAttribute(this.figures.engine, 'title', environment
      ? Object.entries(environment).map(([name, value]) => `${name}: ${value}`).join('\n') : null);
    const seconds = elapsed(record);
    figures.duration = running && seconds !== null ? timeLeft(seconds) : duration(seconds);
    for (const key of ['created', 'started', 'finished']) {
      figures[key] = when(record[`${key}_at`]);
      setAttribute(this.figures[key], 'title', record[`${key}_at`] ? dateTime(record[`${key}_at`]) : null);
    }
    for (const [key, value] of Object.entries(figures)) {
      setText(this.figures[key], value);
      this.figures[key].classList.toggle('missing', value === MISSING);
    }
    if (figures.test === MISSING) {
      setText(this.figures.test, running || state === 'queued' || state === 'paused' ? 'at the end' : MISSING);
      this.figures.test.classList.add('missing');
    }
    this.#drawCharts();
    if (record.links?.analysis && !this.analysis.dataset.shown) {
      this.analysis.dataset.shown = 'yes';
      showAnalysis(this.analysis, this.id, this.signal);
    }
    if (this.values.open) this.#drawValues();
  }

  // What it was made of, and for a replay how it compares.
  #drawOrigin() {
    const {cloned_from: source, replay} = this.#record;
    const link = (id) => element('a', {href: `#/experiments/${id}`}, `#${id}`);
    const key = JSON.stringify([source, replay]);
    if (this.origin.dataset.key === key) return;
    this.origin.dataset.key = key;
    this.origin.hidden = !source && !replay;
    if (source) this.origin.replaceChildren('A clone of ', link(source), '.');
    if (!replay) return;
    const first = replay.first_differing_iteration;
    const verdict = replay.identical === true ? ': identical, bit for bit.'
      : replay.identical === false ? `: the results differ${first ? `, first at iteration ${count(first)}` : ''}.`
        : replay.differences.length ? ': there is nothing to compare it with any more.' : '; compared when it has ended.';
    this.origin.replaceChildren('A replay of ', link(replay.of), verdict,
      ...replay.differences.map(({what, original, replay: now}) =>
        element('span', {class: 'patch-error'}, `${what}: ${original || MISSING} → ${now || MISSING}`)));
  }

  #drawCharts() {
    if (this.#charts.length === 0) {
      const zoom = new Zoom();
      this.#charts = KINDS.map((kind) => new Chart({...kind, zoom}, this.signal));
      this.chartRow.append(...this.#charts.map(({node}) => node));
    }
    const {regularizers = []} = this.#record.spec ?? {};
    const labelOf = (name) => NAMES[name] ?? (name.startsWith('penalty.') && regularizers[name.slice(8)]
      ? regularizer(regularizers[name.slice(8)]) : name.replaceAll('_', ' '));
    const from = this.#record.resumed_from_iteration;
    const marks = from > 0 ? [{iteration: from, label: 'resumed'}] : [];
    for (const [i, chart] of this.#charts.entries()) {
      const names = [...this.#series.keys()].filter((name) => kindOf(name) === i).sort();
      chart.node.hidden = names.length === 0 && (i === 3 || (i === 2 && !regularizers.length) || (i === 1 && this.regression));
      const series = names.map((name, ink) => ({name, ink, lone: name.startsWith('test_'),
        label: labelOf(name),
        points: this.#points(name).filter(([, value]) => value !== null)}));
      // One colour for one thing on the whole page: training first, validation second, test third.
      for (const line of series) line.ink = inkOf(line.name) ?? line.ink;
      series.sort((one, other) => one.ink - other.ink);
      chart.set(series, this.#lastShown(), marks, !isCancellable(this.#record));
    }
  }

  // Where the charts end: where the run has ended, or before that at the whole, a half, a quarter … of what is planned, so
  // that the line grows into a picture that stands still most of the time.
  #lastShown() {
    if (!isCancellable(this.#record)) return this.#reached;
    let last = this.#record.progress?.iterations ?? 0;
    while (this.#reached > 0 && last / 2 >= this.#reached) last /= 2;
    return last;
  }

  #drawValues() {
    if (!this.values.open) return;
    const frame = this.values.querySelector('.values-frame');
    // In the charts' order.
    const names = [...this.#series.keys()].sort((a, b) =>
      kindOf(a) - kindOf(b) || (inkOf(a) ?? 0) - (inkOf(b) ?? 0) || a.localeCompare(b));
    const iterations = [...new Set(names.flatMap((name) => this.#points(name).map(([iteration]) => iteration)))]
      .filter((iteration) => iteration > this.#complete).sort((a, b) => b - a);
    const shown = iterations.slice(0, this.#rows);
    if (shown.length < this.#rows && this.#complete > 0) this.#fill();
    this.older.hidden = shown.length === iterations.length && this.#complete === 0;
    const key = `${names.length} ${iterations.length} ${iterations[0]} ${shown.length}`;
    if (frame.dataset.key === key) return;
    frame.dataset.key = key;
    const text = (name, value) => value === undefined ? ''
      : name.endsWith('_accuracy') ? percent(value) : number(value, 6);
    frame.replaceChildren(element('table', {},
      element('thead', {}, element('tr', {}, ['Iteration', ...names].map((name) => element('th', {scope: 'col'}, name)))),
      element('tbody', {}, shown.map((iteration) => element('tr', {},
        element('th', {scope: 'row'}, count(iteration)),
        names.map((name) => element('td', {}, text(name, this.#series.get(name).get(iteration)))))))));
  }

  // Asks for the values that were left out before those that are all here, as far as the table shows them.
  async #fill() {
    if (this.#isFilling) return;
    this.#isFilling = true;
    const after = Math.max(0, Math.min(this.#complete, this.#reached) - ROWS * this.#record.spec.training.evaluate_every);
    try {
      const {series} = await getMetrics(this.id, {after});
      this.#putAll(series);
      this.#complete = after;
      this.#schedule();
    } catch (error) {
      announce(error.message);
    } finally {
      this.#isFilling = false;
    }
  }
}

const PENALTY_INKS = [3, 4, 6, 7];

function inkOf(name) {
  if (name === 'train_objective') return 5; // the loss with every penalty in it
  if (name.startsWith('train_')) return 0;
  if (name.startsWith('validation_')) return 1;
  if (name.startsWith('test_')) return 2;
  const penalty = /^penalty\.(\d+)$/.exec(name);
  return penalty ? PENALTY_INKS[penalty[1] % PENALTY_INKS.length] : null;
}

function back() {
  return element('p', {class: 'back'}, element('a', {href: listAddress()}, '← Experiments'));
}
