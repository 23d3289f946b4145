// What was measured of a trained model beyond its accuracy: a section of the experiment's page.

import {getAnalysis} from './api.js';
import {element, errorPanel} from './dom.js';
import {diverging, figure, picture} from './figures.js';
import {MISSING, count, measured, number, percent, toNumber} from './format.js';

const SETS = {train: 'Training points', test: 'Test points', noise: 'Training points with noise',
  segments: 'Between training points', uniform: 'Uniform random points'};
const NORMS = {loss: 'Gradient of the loss', logits: 'Jacobian of the logits', softmax: 'Jacobian of the softmax'};
// Where there is no softmax, the outputs are no logits of anything.
const nameOf = (kind, norms) => kind === 'logits' && !norms.softmax ? 'Jacobian of the outputs' : NORMS[kind];

// Loads once and fills `place`.
export async function showAnalysis(place, id, signal) {
  place.replaceChildren(element('h2', {}, 'Analysis'), element('p', {class: 'loading', role: 'status'}, 'Loading …'));
  try {
    const analysis = await getAnalysis(id);
    if (signal.aborted) return;
    place.replaceChildren(element('h2', {}, 'Analysis'), ...PARTS.flatMap((part) => part(analysis, signal)));
  } catch (error) {
    if (!signal.aborted) place.replaceChildren(errorPanel(error, () => showAnalysis(place, id, signal)));
  }
}

// Between powers of ten, where less than two of them fit: rounded.
const power = (exponent) => number(10 ** exponent, Number.isInteger(exponent) ? 3 : 2);
const share = (value) => `${Math.round(value * 1000) / 10}\u202f%`; // short, for axes
const plain = (value) => number(value, 3);

// A value for each of the edges of bins: the last one's again, or it would have no width.
const steps = (values) => [...values, values.at(-1)];

// -- gradient norms ------------------------------------------------------------------------------------------

function gradientNorms({gradient_norms: norms}, signal) {
  if (!norms) return [];
  const kinds = Object.keys(NORMS).filter((kind) => norms[kind]);
  const median = norms.probabilities.indexOf(0.5);
  const figures = kinds.map((kind) => {
    const {log10_edges: edges, points} = norms[kind];
    const sets = Object.keys(SETS).filter((set) => points[set]);
    return figure({title: nameOf(kind, norms), x: edges, xLabel: 'norm, log scale', yLabel: 'share of the points', xText: power, yText: share,
      yRange: (_, low, high) => [0, high * 1.05],
      series: sets.map((set) => ({label: SETS[set], ink: Object.keys(SETS).indexOf(set), kind: 'steps',
        values: steps(points[set].histogram.map((n) => n / points[set].n))})),
      words: `Histograms of its norm. Medians: ${sets.map((set) =>
        `${SETS[set]} ${number(toNumber(points[set].quantiles[median]))}`).join(', ')}.`}, signal);
  });
  const spread = (point) => {
    const at = (probability) => measured(toNumber(point.quantiles[norms.probabilities.indexOf(probability)]), 3);
    return [element('b', {}, at(0.5)), element('small', {}, ` ${at(0.05)} – ${at(0.95)}`)];
  };
  const table = element('section', {class: 'panel measures'},
    element('p', {class: 'measures-note', id: 'norms-note'}, 'Medians of the norms, and between what nine tenths lie'),
    element('div', {class: 'measures-frame', tabindex: 0, role: 'region', 'aria-label': 'Gradient norms as a table'},
      element('table', {'aria-describedby': 'norms-note'}, element('thead', {}, element('tr', {}, element('th', {scope: 'col'}, 'Points'), element('th', {scope: 'col'}, 'Number'),
        kinds.map((kind) => element('th', {scope: 'col'}, nameOf(kind, norms))))),
      element('tbody', {}, Object.entries(SETS).map(([set, name]) => element('tr', {},
        element('th', {scope: 'row'}, name), element('td', {}, count(norms.logits.points[set].n)),
        kinds.map((kind) => element('td', {}, norms[kind].points[set] ? spread(norms[kind].points[set]) : MISSING))))))));
  return [element('h3', {}, 'Gradient norms, at the training points and beyond'), element('div', {class: 'charts'}, figures), table];
}

// -- robustness, calibration, and what is one number ------------------------------------------------------------

function attacked({robustness: from, settings}, signal) {
  if (!from) return [];
  const order = from.epsilons.map((_, i) => i).sort((a, b) => from.epsilons[a] - from.epsilons[b]);
  const attacks = ['fgsm', 'pgd'].filter((attack) => from[attack]);
  return [figure({title: 'Accuracy under attack', x: [0, ...order.map((i) => from.epsilons[i])],
    xLabel: settings.robustness.units === 'original' ? 'ε, pixels from 0 to 1' : 'ε, standardised inputs', xText: plain, yText: share,
    yRange: () => [0, 1],
    series: attacks.map((attack, ink) => ({label: attack === 'fgsm' ? 'FGSM' : `PGD, ${settings.robustness.steps} steps`, ink,
      values: [from.clean_accuracy, ...order.map((i) => from[attack].accuracy[i])]})),
    words: attacks.map((attack) => `${attack.toUpperCase()}: ${order.map((i) =>
      `${percent(from[attack].accuracy[i])} at ${from.epsilons[i]}`).join(', ')}`).join('; '),
    note: `${count(from.n)} test samples, ${percent(from.clean_accuracy)} of them right without an attack.`}, signal)];
}

function reliability({calibration: from}, signal) {
  if (!from) return [];
  const used = from.bins.n.map((_, i) => i).filter((i) => from.bins.n[i] > 0);
  const points = used.map((i) => [toNumber(from.bins.confidence[i]), toNumber(from.bins.accuracy[i])]);
  const all = [[0, null], ...points, [1, null]];
  return [figure({title: 'Reliability', x: all.map(([confidence]) => confidence), xLabel: 'confidence', yLabel: 'accuracy',
    xText: share, yText: share, xRange: () => [0, 1], yRange: () => [0, 1],
    series: [{label: 'As often right as sure', ink: 5, values: all.map(([confidence]) => confidence)},
      {label: 'This model', ink: 0, values: all.map(([, accuracy]) => accuracy)},
      {label: 'Bins', ink: 0, kind: 'points', values: all.map(([, accuracy]) => accuracy)}],
    words: `Expected calibration error ${percent(from.ece)}.`,
    note: `Calibration error ${percent(from.ece)}, log-likelihood loss ${number(from.nll)}, Brier score ${number(from.brier)}.`}, signal)];
}

function measures({transitions, lipschitz}) {
  const item = (label, value, about) => element('div', {class: 'figure'}, element('dt', {}, label), element('dd', {title: about}, value));
  const items = [
    transitions && item('Transitions of a path', number(transitions.count.mean), 'changes of side of all ReLUs around a closed path'),
    transitions && item('… for each unit', number(transitions.per_unit.mean), `of ${count(transitions.units)} units`),
    transitions && item('… for each unit of length', number(transitions.per_length.mean), 'the density of transitions along the path'),
    lipschitz && item('Lipschitz bound', number(toNumber(lipschitz.bound)), 'product of the layers’ largest singular values'),
  ].filter(Boolean);
  return items.length ? [element('section', {class: 'panel status-panel', 'aria-label': 'Sensitivity'},
    element('dl', {class: 'figures'}, items))] : [];
}

function accuracy(analysis, signal) {
  const figures = [...attacked(analysis, signal), ...reliability(analysis, signal)];
  const numbers = measures(analysis);
  return [figures.length || numbers.length ? element('h3', {}, 'Robustness, calibration, sensitivity') : null, ...numbers,
    figures.length ? element('div', {class: 'charts'}, figures) : null].filter(Boolean);
}

// -- pictures --------------------------------------------------------------------------------------------------

function inputGradients({input_gradients: from}, signal) {
  if (!from) return [];
  const pictures = from.positions.map((position, i) => {
    const image = from.images[i], gradient = from.gradients[i];
    const rows = image[0].length, columns = image[0][0].length;
    const level = (row, column) => [0, 1, 2].map((channel) => image[image.length === 3 ? channel : 0][row][column]);
    // Of colours the channel with the greatest gradient.
    const steepest = (row, column) => gradient.map((channel) => channel[row][column])
      .reduce((one, other) => Math.abs(other) > Math.abs(one) ? other : one);
    const right = from.labels[i] === from.classes[i];
    return element('figure', {class: 'gradient-picture'},
      picture({rows, columns, label: `Test image ${position}`, at: () => level}, signal),
      picture({rows, columns, label: `Gradient of the loss at test image ${position}`, at: () => {
        const shade = diverging();
        return (row, column) => shade(steepest(row, column) / 127);
      }}, signal),
      element('figcaption', {class: right ? null : 'patch-error'},
        `#${position}: ${from.labels[i]}${right ? '' : ` taken for ${from.classes[i]}`}, largest slope ${number(127 * toNumber(from.scales[i]), 3)}`));
  });
  return [element('h3', {}, 'Input gradients of test images'),
    element('section', {class: 'panel gradient-pictures', 'aria-label': 'Input gradients'}, pictures)];
}

// -- the fitted function ------------------------------------------------------------------------------------------

const errorText = ({fitted: values, truth}) => {
  const squares = values.reduce((sum, y, i) => sum + (y - truth[i]) ** 2, 0);
  return `Root mean squared distance from the truth: ${number(Math.sqrt(squares / values.length))}.`;
};

function curve({grid, training}, signal) {
  const points = [...grid.inputs.map(([x], i) => [x, grid.fitted[i], grid.truth[i], null]),
    ...training.inputs.map(([x], i) => [x, null, null, training.targets[i]])].sort(([a], [b]) => a - b);
  const column = (i) => points.map((point) => point[i]);
  return figure({title: 'Fitted function', x: column(0), xText: plain, yText: plain, xLabel: 'x',
    series: [{label: 'Fitted', ink: 0, values: column(1)}, {label: 'Truth', ink: 1, values: column(2)},
      {label: 'Training points', ink: 5, kind: 'points', values: column(3)}],
    words: errorText(grid), note: errorText(grid)}, signal);
}

// Two inputs: the function, the truth and their difference, each as a picture, dark where it is far from its middle.
function surface({grid}, signal) {
  const places = [0, 1].map((axis) => [...new Set(grid.inputs.map((input) => input[axis]))].sort((a, b) => a - b));
  const index = new Map(grid.inputs.map((input, i) => [`${places[0].indexOf(input[0])} ${places[1].indexOf(input[1])}`, i]));
  const low = Math.min(...grid.truth), high = Math.max(...grid.truth), half = (high - low) / 2 || 1;
  const shown = (paint) => () => {
    const shade = diverging();
    return (row, column) => shade(paint(row, column));
  };
  const axis = (kind, ...texts) => element('span', {class: kind}, texts.map((text) => element('span', {}, text)));
  const ends = (values) => [values[0], values.at(-1)].map(plain);
  const [[left, right], [bottom, top]] = places.map(ends);
  const map = (title, values, middle) => {
    const value = (i) => i === undefined ? 0 : (values[i] - middle) / half;
    return element('figure', {class: 'surface'},
      element('figcaption', {}, title),
      axis('axis-up', top, 'x₂', bottom),
      picture({rows: places[1].length, columns: places[0].length, label: title,
        at: shown((row, column) => value(index.get(`${column} ${places[1].length - 1 - row}`)))}, signal),
      axis('axis-right', left, 'x₁', right),
      picture({rows: 1, columns: 61, label: `Colours of ${title}`, at: shown((_, column) => column / 30 - 1)}, signal),
      axis('axis-right', ...[middle - half, middle, middle + half].map(plain)));
  };
  return element('section', {class: 'panel surfaces', 'aria-label': 'Fitted function'},
    map('Fitted', grid.fitted, (low + high) / 2), map('Truth', grid.truth, (low + high) / 2),
    map('Fitted − truth', grid.fitted.map((y, i) => y - grid.truth[i]), 0),
    element('p', {class: 'figure-note'}, errorText(grid)));
}

function fitted({function: from}, signal) {
  if (!from) return [];
  const flat = from.grid.inputs[0]?.length === 1;
  return [element('h3', {}, 'The function'), flat ? element('div', {class: 'charts'}, curve(from, signal)) : surface(from, signal)];
}

const PARTS = [gradientNorms, accuracy, fitted, inputGradients];
