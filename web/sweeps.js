// The list of sweeps, newest first.

import {listSweeps} from './api.js';
import {element, errorPanel, progressBar, redraw, setText} from './dom.js';
import {count, dateTime, plural, when} from './format.js';
import {listen} from './live.js';

const PAUSE = 1000; // milliseconds between two readings while experiments change

export function showSweeps(place, signal) {
  document.title = 'Sweeps – gradreg';
  new Sweeps(place, signal).reload();
}

// The state as a badge; the words of sweeps differ from those of experiments.
const KINDS = {pausing: 'paused', cancelling: 'cancelled'};
export function sweepKind({state, states}) {
  if (state !== 'finished') return KINDS[state] ?? state;
  return ['failed', 'diverged'].find((bad) => states[bad] > 0) ?? 'succeeded';
}
export function sweepBadge(sweep) {
  const word = sweep.state[0].toUpperCase() + sweep.state.slice(1);
  return element('span', {class: 'badge', 'data-state': sweepKind(sweep)}, word);
}

// Successive halving cancels the arms that do not go on: nothing has gone wrong with these.
export const isHalved = ({strategy, cancelled_at: cancelled}) => strategy === 'asha' && !cancelled;

// What became of the experiments, in words: "12 succeeded, 1 diverged".
export function statesText(sweep) {
  const parts = Object.entries(sweep.states ?? {}).filter(([, number]) => number > 0);
  return parts.map(([state, number]) =>
    `${count(number)} ${state === 'cancelled' && isHalved(sweep) ? 'stopped' : state}`).join(', ');
}

class Sweeps {
  #loading = 0;
  #timer = 0;
  #sweeps = [];
  #cursor = null;

  constructor(place, signal) {
    this.signal = signal;
    this.total = element('p', {class: 'list-total', role: 'status'});
    this.list = element('ul', {class: 'sweep-list'});
    this.notice = element('div');
    this.more = element('button', {type: 'button', class: 'button', hidden: true, onclick: () => this.#more()}, 'Load more');
    place.append(element('div', {class: 'list-head'}, element('h1', {}, 'Sweeps'), this.total), this.list, this.notice,
      element('div', {class: 'list-foot'}, this.more));
    const later = () => {
      this.#timer ||= setTimeout(() => {
        this.#timer = 0;
        if (!signal.aborted) this.reload();
      }, PAUSE);
    };
    listen(signal, {open: () => this.reload(), experiment: later, deleted: later});
    signal.addEventListener('abort', () => clearTimeout(this.#timer));
  }

  async reload() {
    const load = ++this.#loading;
    try {
      const page = await listSweeps({limit: Math.min(Math.max(50, this.#sweeps.length), 500)});
      if (load !== this.#loading || this.signal.aborted) return;
      this.#sweeps = page.sweeps;
      this.#cursor = page.next_cursor;
      this.#draw();
    } catch (error) {
      if (load === this.#loading && !this.signal.aborted) {
        this.notice.replaceChildren(errorPanel(error, () => this.reload()));
      }
    }
  }

  async #more() {
    const load = ++this.#loading;
    try {
      const page = await listSweeps({cursor: this.#cursor});
      if (load !== this.#loading || this.signal.aborted) return;
      this.#sweeps.push(...page.sweeps);
      this.#cursor = page.next_cursor;
      this.#draw();
    } catch (error) {
      this.notice.replaceChildren(errorPanel(error, () => this.reload()));
    }
  }

  #draw() {
    setText(this.total, this.#sweeps.length ? `${count(this.#sweeps.length)}${this.#cursor ? ' newest' : ''}` : '');
    this.more.hidden = !this.#cursor;
    this.notice.replaceChildren(...(this.#sweeps.length ? [] : [element('section', {class: 'panel empty'},
      element('h2', {}, 'No sweeps yet'),
      element('p', {}, 'A sweep trains a spec with several values of some of its members, each with several seeds, and ' +
        'compares them. Post one with ', element('code', {}, 'gradreg sweep examples/sweeps/digits_small.json'), '.'))]));
    redraw(this.list, this.#sweeps.map((sweep) => {
      const bar = progressBar(`Progress of sweep ${sweep.id}`);
      bar.update(sweep.experiments ? sweep.ended / sweep.experiments : 0, sweep.state === 'finished' ? sweepKind(sweep) : 'running');
      return element('li', {class: 'panel sweep-item', 'data-id': sweep.id},
        element('span', {class: 'row-id'}, `#${sweep.id}`),
        element('span', {class: 'row-title'},
          element('a', {class: 'row-link', href: `#/sweeps/${sweep.id}`}, sweep.name || `Sweep ${sweep.id}`),
          element('span', {class: 'row-about'},
            `${plural(sweep.arms, 'arm')}, ${plural(sweep.experiments, 'experiment')}: ${statesText(sweep)}`)),
        sweepBadge(sweep), bar.node,
        element('time', {datetime: sweep.created_at, title: dateTime(sweep.created_at)}, when(sweep.created_at)));
    }));
  }
}
