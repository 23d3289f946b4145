// The pictures in a sweep's table: mean, interval and seeds of every arm, on one scale for all.

import {marksText} from './format.js';

const SVG = 'http://www.w3.org/2000/svg';
const MARKS = 4; // at most: their numbers stand side by side on a narrow screen too

function svg(tag, attributes, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

// What all pictures share: {low, high, marks, texts}; `factor`: of the numbers at the marks.
export function scaleOf(cells, factor) {
  const all = cells.flatMap((cell) => [...(cell.interval ?? []), ...cell.values.map(([, value]) => value)]);
  if (all.length === 0) return {low: 0, high: 1, marks: [], texts: []};
  const least = Math.min(...all), most = Math.max(...all);
  const room = (most - least) * 0.04 || Math.abs(most) * 0.01 || 1;
  const low = least - room, high = most + room;
  const decade = 10 ** Math.floor(Math.log10(factor * (high - low)));
  const [first, last] = [(step) => Math.ceil(factor * low / step), (step) => Math.floor(factor * high / step)];
  const step = [0.2, 0.5, 1, 2, 5].map((some) => some * decade).find((some) => last(some) - first(some) < MARKS);
  const numbers = Array.from({length: last(step) - first(step) + 1}, (_, i) => (first(step) + i) * step);
  return {low, high, marks: numbers.map((number) => number / factor), texts: marksText(numbers, step)};
}

const at = ({low, high}, value) => (100 * (value - low) / (high - low)).toFixed(2) + '%';

// The numbers of the scale, for the heading of the pictures.
export function scalePicture(scale) {
  return svg('svg', {class: 'interval-plot plot-scale', 'aria-hidden': 'true', height: 18, width: '100%'},
    ...scale.marks.map((mark, i) => svg('text', {x: at(scale, mark), y: 13, 'text-anchor': 'middle'}, scale.texts[i])));
}

// One arm's; `text` writes a value, `label` says what the picture shows.
export function intervalPicture(cell, scale, text, label) {
  const place = (value) => at(scale, value);
  const line = (kind, from, to, y1, y2) => svg('line', {class: kind, x1: from, x2: to, y1, y2});
  const picture = svg('svg', {class: 'interval-plot', role: 'img', height: 26, width: '100%', 'aria-label': label});
  picture.append(...scale.marks.map((mark) => line('plot-axis', place(mark), place(mark), -90, 120)),
    line('plot-axis', '0%', '100%', 13, 13));
  for (const [seed, value] of cell.values) {
    picture.append(svg('circle', {class: 'plot-seed', cx: place(value), cy: 21, r: 2.5},
      svg('title', {}, `seed ${seed}: ${text(value)}`)));
  }
  if (cell.interval) {
    const [low, high] = cell.interval.map(place);
    picture.append(line('plot-interval', low, high, 13, 13), line('plot-interval', low, low, 8, 18),
      line('plot-interval', high, high, 8, 18));
  }
  if (cell.mean !== null) picture.append(svg('circle', {class: 'plot-mean', cx: place(cell.mean), cy: 13, r: 5}));
  return picture;
}
