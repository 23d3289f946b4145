// Figures that stand still: what was measured once, drawn by uPlot or on a canvas, for both sets of colours.

import uPlot from './vendor/uplot.js';

import {element} from './dom.js';

const DASHES = [[], [7, 4], [2, 3], [], [7, 4], [2, 3]];
const dark = matchMedia('(prefers-color-scheme: dark)');

export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

// Calls `paint` now, whenever the colours change, and (given a node) whenever its size does; until the page goes.
export function keepPainted(paint, signal, node = null) {
  const resize = node && new ResizeObserver(paint);
  resize?.observe(node);
  dark.addEventListener('change', paint);
  signal.addEventListener('abort', () => {
    resize?.disconnect();
    dark.removeEventListener('change', paint);
  });
  paint();
}

// A legend that says what each line is; it has nothing to press.
function legend(series) {
  return element('ul', {class: 'chart-legend figure-legend'}, series.map(({label, ink, kind}) =>
    element('li', {class: 'legend-item', 'data-ink': ink, 'data-kind': kind ?? 'line'},
      element('span', {class: 'legend-swatch', 'aria-hidden': 'true'}), element('span', {}, label))));
}

// series: [{label, ink, values: one for each of x (null: none there), kind: 'line' | 'steps' | 'points'}];
// xText and yText turn numbers at the axes into words; `words` says what the picture shows.
export function figure({title, x, series, xLabel, yLabel, xText, yText, xRange, yRange, words, note}, signal) {
  const place = element('div', {class: 'chart-place', role: 'img', 'aria-label': `${title}. ${words}`});
  const node = element('section', {class: 'panel chart figure-panel'},
    element('header', {class: 'chart-head'}, element('h3', {}, title)),
    element('div', {class: 'chart-frame'}, place), legend(series), note ? element('p', {class: 'figure-note'}, note) : null);
  let plot = null;
  const paint = () => {
    plot?.destroy();
    plot = null;
    if (place.clientWidth === 0) return;
    const grid = {stroke: colour('--chart-grid'), width: 1};
    const font = `12px ${getComputedStyle(document.body).fontFamily}`;
    const axis = {stroke: colour('--muted'), grid, ticks: {...grid, size: 5}, font, labelFont: font, gap: 6, labelGap: 2};
    plot = new uPlot({
      width: place.clientWidth, height: place.clientHeight, padding: [10, 22, 0, 0], legend: {show: false},
      cursor: {show: false},
      scales: {x: {time: false, ...(xRange && {range: xRange})}, y: {...(yRange && {range: yRange})}},
      axes: [
        {...axis, space: 56, size: 34, label: xLabel, labelSize: 20, values: (_, splits) => splits.map(xText)},
        {...axis, space: 34, size: 54, label: yLabel, labelSize: 20, values: (_, splits) => splits.map(yText)},
      ],
      series: [{}, ...series.map(({ink, kind = 'line'}) => ({
        stroke: colour(`--ink-${ink}`), width: kind === 'points' ? 0 : 2, dash: kind === 'points' ? [] : DASHES[ink],
        ...(kind === 'steps' && {paths: uPlot.paths.stepped({align: 1})}),
        ...(kind === 'points' && {paths: () => null}),
        spanGaps: true,
        points: {show: kind === 'points', size: 7, width: 1, fill: colour(`--ink-${ink}`)},
      }))],
    }, [x, ...series.map(({values}) => values)], place);
  };
  keepPainted(paint, signal, place);
  signal.addEventListener('abort', () => plot?.destroy());
  return node;
}

// Numbers [0, 255] for (r, g, b) of a colour of the style sheet, whatever its notation there.
export function channels(name) {
  const context = new OffscreenCanvas(1, 1).getContext('2d');
  context.fillStyle = colour(name);
  context.fillRect(0, 0, 1, 1);
  return context.getImageData(0, 0, 1, 1).data;
}

// A picture of rows × columns pixels, at(row, column) → [r, g, b]; enlarged by the style sheet.
export function picture({rows, columns, at, label}, signal) {
  const node = element('canvas', {class: 'pixels', width: columns, height: rows, role: 'img', 'aria-label': label});
  keepPainted(() => {
    const context = node.getContext('2d'), image = context.createImageData(columns, rows), pixel = at();
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        image.data.set([...pixel(row, column), 255], 4 * (row * columns + column));
      }
    }
    context.putImageData(image, 0, 0);
  }, signal);
  return node;
}

// −1 … 1 as a colour: from the second ink over the ground to the first; a function, for the present colours.
export function diverging() {
  const [ground, above, below] = ['--surface', '--ink-1', '--ink-0'].map(channels);
  return (value) => {
    const end = value > 0 ? above : below, share = Math.min(1, Math.abs(value));
    return [0, 1, 2].map((i) => ground[i] + share * (end[i] - ground[i]));
  };
}
