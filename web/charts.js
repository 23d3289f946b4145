// Curves: uPlot charts with a legend of buttons, a logarithmic scale to switch to, and marks for what a line
// cannot show (the first value that is not finite, the iteration from which a run was resumed).

import uPlot from './vendor/uplot.js';

import {element, setAttribute, setText} from './dom.js';
import {count, measured, number, percent} from './format.js';

// The colours are in the style sheet, one set for light and one for dark. Lines also differ in their dashes.
const INKS = 8;
const DASHES = [[], [7, 4], [], [], [7, 4], [2, 3], [2, 3], [9, 3, 2, 3]];

const FONT_SIZE = 12;
const LABELS_WIDTH = 58; // of the vertical axis, where its labels need no more
const LINE_SPACE = 34;   // pixels between lines of the grid, at least

const LARGEST = 1e100; // scales of uPlot end before the doubles do; the values here are floats

const dark = matchMedia('(prefers-color-scheme: dark)');
const cursorGroup = uPlot.sync('gradreg');
const measure = new OffscreenCanvas(1, 1).getContext('2d');

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

// The stretch of iterations that the charts of one page show together; null: the whole run.
export class Zoom extends EventTarget {
  range = null;

  set(range) {
    this.range = range;
    this.dispatchEvent(new Event('change'));
  }
}

// One chart: `kind` is "accuracy" (fractions, shown as percentages; its logarithmic scale shows the error) or
// "value". `preference` names the browser's memory of the scale.
export class Chart {
  #plot = null;
  #series = []; // {name, label, ink, points: [[iteration, value], …]} in order of iteration
  #hidden = new Set();
  #legend = new Map(); // name → {node, value}
  #marks = [];
  #iterations = 0;
  #log;
  #frame = 0;

  constructor({title, kind, preference, log, zoom}, signal) {
    this.kind = kind;
    this.zoom = zoom;
    zoom.addEventListener('change', () => this.#showZoom(), {signal});
    this.preference = `gradreg.scale.${preference}`;
    this.#log = (localStorage.getItem(this.preference) ?? (log ? 'log' : 'linear')) === 'log';
    this.title = title;
    this.heading = element('h3', {}, title);
    this.at = element('span', {class: 'chart-at'});
    this.toggle = element('button', {type: 'button', class: 'button small quiet', onclick: () => {
      this.#log = !this.#log;
      localStorage.setItem(this.preference, this.#log ? 'log' : 'linear');
      this.#build();
    }});
    this.whole = element('button', {type: 'button', class: 'button small quiet', hidden: true, onclick: () => zoom.set(null)},
      'Whole run');
    this.place = element('div', {class: 'chart-place', role: 'img'});
    this.waiting = element('p', {class: 'chart-waiting'});
    this.legend = element('div', {class: 'chart-legend', role: 'group', 'aria-label': `Lines of ${title}`});
    this.note = element('p', {class: 'chart-note', hidden: true});
    this.node = element('section', {class: 'panel chart', 'data-points': 0},
      element('header', {class: 'chart-head'}, this.heading, this.at, this.whole, this.toggle),
      element('div', {class: 'chart-frame'}, this.place, this.waiting), this.legend, this.note);
    const resize = new ResizeObserver(() => this.#resize());
    resize.observe(this.place);
    const repaint = () => this.#build();
    dark.addEventListener('change', repaint);
    signal.addEventListener('abort', () => {
      resize.disconnect();
      dark.removeEventListener('change', repaint);
      cancelAnimationFrame(this.#frame);
      this.#plot?.destroy();
      this.#plot = null;
    });
  }

  // The chart shows `series` over 0 … iterations (all that is planned, or less); called as often as there is something new.
  // `ended`: nothing more will come.
  set(series, iterations, marks, ended) {
    const same = series.length === this.#series.length
      && series.every(({name, label}, i) => name === this.#series[i].name && label === this.#series[i].label);
    this.#series = series;
    this.#iterations = iterations;
    this.#marks = marks;
    setText(this.waiting, ended ? 'It ended before the first evaluation' : 'Waiting for the first evaluation');
    if (!same || !this.#plot) this.#build();
    else this.#frame ||= requestAnimationFrame(() => this.#draw());
  }

  #build() {
    this.#plot?.destroy();
    this.#plot = null;
    const word = this.kind === 'accuracy' ? 'Error, log' : 'Log';
    setText(this.heading, this.kind === 'accuracy' && this.#log ? 'Error' : this.title);
    setText(this.toggle, `${word} scale`);
    setAttribute(this.toggle, 'aria-pressed', this.#log ? 'true' : 'false');
    this.#buildLegend();
    if (this.place.clientWidth > 0) {
      this.#plot = new uPlot(this.#options(), this.#data(), this.place);
      cursorGroup.sub(this.#plot);
    }
    this.#describe();
  }

  #options() {
    const ink = colour('--muted');
    const grid = {stroke: colour('--chart-grid'), width: 1};
    // A whole number: uPlot multiplies the digits before "px" for dense screens.
    const font = `${FONT_SIZE}px ${getComputedStyle(document.body).fontFamily}`;
    const axis = {stroke: ink, grid, ticks: {...grid, size: 5}, font, gap: 6};
    const widthOf = (labels) => {
      measure.font = font;
      return Math.max(...labels.map((label) => measure.measureText(label).width));
    };
    return {
      width: this.place.clientWidth, height: this.place.clientHeight, padding: [10, 24, 0, 0],
      legend: {show: false},
      cursor: {sync: {key: cursorGroup.key}, y: false, points: {size: 8, width: 2},
        drag: {x: true, y: false, setScale: false},
        bind: {dblclick: () => () => this.zoom.set(null)}},
      scales: {
        x: {time: false, range: () => this.zoom.range ?? [0, this.#iterations || 1]},
        y: this.#log ? {distr: 3, log: 10, range: (plot, low, high) => logRange(low, high)}
          : {range: (plot, low, high) => this.#linearRange(low, high)},
      },
      axes: [
        {...axis, space: 70, size: 34, values: (plot, splits) => splits.map((value) => count(value))},
        // uPlot's own increments end before the floats do, and without one it draws no axis; `splits` needs none.
        {...axis, space: LINE_SPACE, incrs: (plot, i, low, high) => [Math.max(LINE_SPACE, high - low)],
          splits: (plot, i, low, high) => (this.#log ? logSplits : linearSplits)(low, high,
            Math.max(2, plot.bbox.height / devicePixelRatio / LINE_SPACE)), filter: (plot, splits) => splits,
          values: (plot, splits) => splits.map((value) => this.#axisText(value)),
          size: (plot, labels) => Math.max(LABELS_WIDTH, widthOf(labels ?? []) + axis.ticks.size + 2 * axis.gap)},
      ],
      series: [{}, ...this.#series.map(({name, ink: index, lone}) => ({
        stroke: colour(`--ink-${index % INKS}`), width: 2, dash: DASHES[index % DASHES.length],
        show: !this.#hidden.has(name), spanGaps: false,
        points: lone ? {show: true, size: 11, fill: colour(`--ink-${index % INKS}`)}
          : {size: 5, width: 1.5, fill: colour('--surface')},
      }))],
      hooks: {
        setCursor: [(plot) => this.#showValues(plot.cursor.idx)],
        setSelect: [(plot) => this.#select(plot)],
        drawAxes: [(plot) => this.#drawMarks(plot)],
      },
    };
  }

  #showZoom() {
    this.whole.hidden = !this.zoom.range;
    if (!this.#plot) return;
    const [min, max] = this.zoom.range ?? [0, this.#iterations || 1];
    this.#plot.setScale('x', {min, max});
  }

  #select(plot) {
    const {left, width} = plot.select;
    if (width < 8) return;
    const range = [plot.posToVal(left, 'x'), plot.posToVal(left + width, 'x')];
    plot.setSelect({left: 0, width: 0, top: 0, height: 0}, false);
    this.zoom.set(range);
  }

  #linearRange(low, high) {
    if (low === null || high === null) return [0, 1];
    const room = (high - low) * 0.06 || Math.abs(high) * 0.1 || 0.1;
    if (this.kind === 'accuracy') return [Math.max(0, low - room), Math.min(1.002, high + room)];
    return [low >= 0 && low - room < 0 ? 0 : low - room, high + room];
  }

  #axisText(value) {
    if (this.kind !== 'accuracy') return number(value, Math.abs(value) < 1e6 ? 6 : 3);
    const text = (value * 100).toFixed(3).replace(/\.?0+$/, '');
    return `${text}\u202f%`;
  }

  // A finite value as the present scale draws it, or null.
  #drawn(value) {
    if (value === null || !isFinite(value)) return null;
    if (Math.abs(value) > LARGEST) return null;
    if (!this.#log) return value;
    const shown = this.kind === 'accuracy' ? 1 - value : value;
    return shown > 0 ? shown : null;
  }

  // uPlot's form: iterations, then for each line a value, null (a gap) or undefined (not measured there).
  #data() {
    const iterations = [...new Set(this.#series.flatMap(({points}) => points.map(([iteration]) => iteration)))]
      .sort((a, b) => a - b);
    const columns = this.#series.map(({points}) => {
      const values = new Map(points);
      return iterations.map((iteration) => values.has(iteration) ? this.#drawn(values.get(iteration)) : undefined);
    });
    return [iterations, ...columns];
  }

  #draw() {
    this.#frame = 0;
    this.#plot?.setData(this.#data());
    this.#describe();
  }

  #resize() {
    const {clientWidth: width, clientHeight: height} = this.place;
    if (!this.#plot) this.#build();
    else if (width > 0 && (width !== this.#plot.width || height !== this.#plot.height)) {
      this.#plot.setSize({width, height});
    }
  }

  #buildLegend() {
    this.#legend.clear();
    this.legend.replaceChildren(...this.#series.map(({name, label, ink}, i) => {
      const value = element('span', {class: 'legend-value'});
      const node = element('button', {type: 'button', class: 'legend-item', 'data-ink': ink % INKS,
        'aria-pressed': this.#hidden.has(name) ? 'false' : 'true', title: 'Show or hide this line', onclick: () => {
          if (!this.#hidden.delete(name)) this.#hidden.add(name);
          setAttribute(node, 'aria-pressed', this.#hidden.has(name) ? 'false' : 'true');
          this.#plot?.setSeries(i + 1, {show: !this.#hidden.has(name)});
        }}, element('span', {class: 'legend-swatch', 'aria-hidden': 'true'}), element('span', {}, label), value);
      this.#legend.set(name, value);
      return node;
    }));
  }

  // The values at the cursor, or the last ones.
  #showValues(index) {
    const at = index === null || index === undefined ? Infinity : this.#plot.data[0][index];
    setText(this.at, isFinite(at) ? `iteration\u00a0${count(at)}` : '');
    for (const {name, points} of this.#series) {
      const point = points.findLast(([iteration]) => iteration <= at);
      setText(this.#legend.get(name), point ? this.#valueText(point[1]) : '');
    }
  }

  #valueText(value) {
    if (this.kind !== 'accuracy') return measured(value);
    return this.#log && isFinite(value) ? percent(1 - value) : percent(value);
  }

  // What the picture says, in words; what it cannot show, in a note.
  #describe() {
    const total = this.#series.reduce((sum, {points}) => sum + points.length, 0);
    setAttribute(this.node, 'data-points', total);
    this.waiting.hidden = total > 0;
    const words = this.#series.map(({label, points}) => points.length === 0 ? `${label}: no value yet`
      : `${label}: ${this.#valueText(points.at(-1)[1])} at iteration ${count(points.at(-1)[0])}`);
    setAttribute(this.place, 'aria-label', `${this.heading.textContent} over iterations. ${words.join('; ')}.`);
    const bad = this.#series.flatMap(({label, points}) => {
      const first = points.find(([, value]) => !isFinite(value));
      return first ? [`${label} is ${number(first[1])} from iteration ${count(first[0])}.`] : [];
    });
    this.note.hidden = bad.length === 0;
    setText(this.note, bad.join(' '));
    this.#showValues(this.#plot?.cursor.idx);
  }

  #drawMarks(plot) {
    const {ctx, bbox} = plot;
    const ratio = devicePixelRatio;
    const first = this.#series.flatMap(({points}) => points.filter(([, value]) => !isFinite(value)).map(([i]) => i));
    const marks = [...this.#marks];
    if (first.length > 0) marks.push({iteration: Math.min(...first), label: 'not finite', ink: '--bad'});
    ctx.save();
    for (const {iteration, label, ink = '--muted'} of marks) {
      const x = Math.round(plot.valToPos(iteration, 'x', true)) + 0.5;
      if (!(x >= bbox.left && x <= bbox.left + bbox.width)) continue;
      ctx.strokeStyle = ctx.fillStyle = colour(ink);
      ctx.lineWidth = ratio;
      ctx.setLineDash([3 * ratio, 4 * ratio]);
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      ctx.font = `${11 * ratio}px ${getComputedStyle(document.body).fontFamily}`;
      ctx.textBaseline = 'top';
      ctx.textAlign = x > bbox.left + bbox.width * 0.7 ? 'right' : 'left';
      ctx.fillText(label, x + (ctx.textAlign === 'left' ? 5 : -5) * ratio, bbox.top + 3 * ratio);
    }
    ctx.restore();
  }
}

// Multiples of 1, 2 or 5 of a decade, at most `most` of them.
function linearSplits(low, high, most) {
  const least = (high - low) / most, power = 10 ** Math.floor(Math.log10(least));
  const step = [1, 2, 5, 10].map((digit) => digit * power).find((one) => one >= least) ?? 10 * power;
  const first = Math.ceil(low / step);
  return Array.from({length: Math.floor(high / step) - first + 1}, (_, i) => (first + i) * step);
}

// 1, 2 and 5 of each decade where that is at most `most` lines, else 1 of every decade, second, third … decade.
function logSplits(low, high, most) {
  const first = Math.floor(Math.log10(low)), last = Math.ceil(Math.log10(high));
  const within = (values) => values.filter((value) => value >= low && value <= high);
  const decades = Array.from({length: last - first + 1}, (_, i) => Number(`1e${first + i}`));
  const fine = within(decades.flatMap((power) => [power, 2 * power, 5 * power]));
  if (fine.length <= most) return fine;
  const step = Math.max(1, Math.ceil((last - first) / most));
  const coarse = within(decades.filter((_, i) => (first + i) % step === 0));
  return coarse.length >= 2 ? coarse : within(decades.flatMap((power) => [power, 3 * power]));
}

function logRange(low, high) {
  if (low === null || high === null || !(low > 0 && high < Infinity)) return [0.001, 1];
  // At least a decade, or the axis has no label.
  const from = Math.log10(low), to = Math.log10(high);
  const room = Math.max((to - from) * 0.06, (1 - (to - from)) / 2, 0.02);
  return [10 ** (from - room), 10 ** (to + room)];
}
