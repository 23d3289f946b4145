// Numbers, times and specs as people read them. A value from the API may be a number or one of the strings
// "NaN", "Infinity", "-Infinity"; what is missing is shown as an en dash.

export const MISSING = '–';

// The API's form of a double, as a double; null where there is none.
export function toNumber(value) {
  if (typeof value === 'number') return value;
  if (value === 'NaN') return NaN;
  if (value === 'Infinity') return Infinity;
  if (value === '-Infinity') return -Infinity;
  return null;
}

const grouped = new Intl.NumberFormat('en', {maximumFractionDigits: 0});

export function count(value) {
  return typeof value === 'number' && isFinite(value) ? grouped.format(value) : MISSING;
}

export function plural(value, noun) {
  return `${count(value)} ${noun}${value === 1 ? '' : 's'}`;
}

// A fraction as a percentage: 0.9789 is "97.89 %" (with a no-break space).
export function percent(value, digits = 2) {
  const number = toNumber(value);
  if (number === null) return MISSING;
  if (!isFinite(number)) return special(number);
  return `${(number * 100).toFixed(digits)}\u00a0%`;
}

const formats = new Map();

// So many decimals, thousands grouped; `signed`: with a plus sign too.
function fixed(value, decimals, {signed = false, least = decimals} = {}) {
  const key = `${decimals} ${least} ${signed}`;
  if (!formats.has(key)) {
    formats.set(key, new Intl.NumberFormat('en', {minimumFractionDigits: least, maximumFractionDigits: decimals,
      signDisplay: signed ? 'exceptZero' : 'negative'}));
  }
  return formats.get(key).format(value).replace('-', '\u2212');
}

const exponentOf = (size) => Math.floor(Math.log10(size));
const powerOfTen = (exponent) =>
  '10' + String(exponent).replace('-', '⁻').replace(/\d/g, (digit) => '⁰¹²³⁴⁵⁶⁷⁸⁹'[digit]);

function written(value, digits, zeros) {
  const given = toNumber(value);
  if (given === null) return MISSING;
  if (!isFinite(given)) return special(given);
  if (given === 0) return '0';
  const [mantissa, exponent] = given.toExponential(digits - 1).split('e').map(Number);
  const least = (decimals) => ({least: zeros ? decimals : 0});
  if (exponent >= -3 && exponent < 6) {
    const decimals = Math.max(0, digits - 1 - exponent);
    return fixed(given, decimals, least(decimals));
  }
  return mantissa === 1 && !zeros ? powerOfTen(exponent)
    : `${fixed(mantissa, digits - 1, least(digits - 1))}×${powerOfTen(exponent)}`;
}

// Four significant digits, with a power of ten from a million on and below a thousandth; without the zeros at the end.
export const number = (value, digits = 4) => written(value, digits, false);

// The same with these zeros: measured values, which keep their length from one to the next.
export const measured = (value, digits = 4) => written(value, digits, true);

// Several values of at most `size` with the same decimals, those that show `step`; a common power of ten where it is
// very large or small: {texts, power}.
function alike(values, size, step, options) {
  const exponent = exponentOf(size), decimals = -exponentOf(step);
  if (exponent >= -6 && exponent < 6) {
    const shown = Math.min(Math.max(decimals, 0), 8);
    return {texts: values.map((value) => fixed(value, shown, options)), power: ''};
  }
  const shown = Math.min(Math.max(decimals + exponent, 0), 8);
  return {texts: values.map((value) => fixed(value / 10 ** exponent, shown, options)), power: `×${powerOfTen(exponent)}`};
}

// The marks of an axis.
export function marksText(marks, step) {
  const {texts, power} = alike(marks, Math.max(...marks.map(Math.abs), step), step);
  return texts.map((text) => text + power);
}

// "0.00107 ± 0.00022": a mean and half of its interval (null: none) to the same decimals, which are two significant
// digits of the half, as in the tables that the server writes, or those that are given.
export function estimate(mean, half, {decimals = null, signed = false} = {}) {
  if (decimals !== null) {
    const text = fixed(mean, decimals, {signed});
    return half === null ? text : `${text} ± ${fixed(half, decimals)}`;
  }
  if (!half) return (signed && mean > 0 ? '+' : '') + measured(mean) + (half === 0 ? ' ± 0' : '');
  const size = Math.max(Math.abs(mean), half), step = 10 ** (exponentOf(half) - 1);
  const {texts: [first], power} = alike([mean], size, step, {signed});
  const {texts: [second]} = alike([half], size, step);
  return power ? `(${first} ± ${second})${power}` : `${first} ± ${second}`;
}

function special(value) {
  return Number.isNaN(value) ? 'NaN' : value > 0 ? '∞' : '−∞';
}

export function rate(value) {
  const given = toNumber(value);
  if (given === null || !isFinite(given) || given <= 0) return MISSING;
  return `${given >= 100 ? count(given) : number(given, 3)}\u00a0it/s`;
}

// 12 s, 3 min 20 s, 2 h 05 min, 3 d 4 h.
export function duration(seconds) {
  if (typeof seconds !== 'number' || !isFinite(seconds) || seconds < 0) return MISSING;
  const space = '\u00a0';
  if (seconds < 10) return `${seconds.toFixed(1)}${space}s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole}${space}s`;
  const two = (value) => String(value).padStart(2, '0');
  if (whole < 3600) return `${Math.floor(whole / 60)}${space}min ${two(whole % 60)}${space}s`;
  const minutes = Math.round(whole / 60);
  if (minutes < 1440) return `${Math.floor(minutes / 60)}${space}h ${two(minutes % 60)}${space}min`;
  return `${Math.floor(minutes / 1440)}${space}d ${Math.floor((minutes % 1440) / 60)}${space}h`;
}

// What is left of a run: no tenths, they would flicker.
export function timeLeft(seconds) {
  if (typeof seconds !== 'number' || !isFinite(seconds) || seconds < 0) return MISSING;
  return duration(seconds < 10 ? Math.max(seconds, 0) : seconds).replace(/\.\d/, '');
}

const absolute = new Intl.DateTimeFormat(undefined, {dateStyle: 'medium', timeStyle: 'medium'});
const clock = new Intl.DateTimeFormat(undefined, {hour: '2-digit', minute: '2-digit', hour12: false});
const day = new Intl.DateTimeFormat('en', {day: 'numeric', month: 'short'});
const dayOfYear = new Intl.DateTimeFormat('en', {day: 'numeric', month: 'short', year: 'numeric'});

export function dateTime(text) {
  const time = new Date(text);
  return text && !isNaN(time) ? absolute.format(time) : MISSING;
}

// Short enough for a table: "just now", "5 min ago", "14:02", "12 Mar", "12 Mar 2025".
export function when(text, now = Date.now()) {
  const time = new Date(text);
  if (!text || isNaN(time)) return MISSING;
  const seconds = (now - time.getTime()) / 1000;
  if (seconds < 45) return 'just now';
  if (seconds < 3600) return `${Math.max(1, Math.round(seconds / 60))} min ago`;
  const today = new Date(now);
  if (time.toDateString() === today.toDateString()) return clock.format(time);
  return (time.getFullYear() === today.getFullYear() ? day : dayOfYear).format(time);
}

// The seconds that a run has trained (over all attempts); a running one's clock goes on from `received`, the
// local time at which the record arrived. Null before it started.
export function elapsed(experiment, now = Date.now()) {
  const {started_at: started, finished_at: finished, elapsed_seconds: trained, state} = experiment;
  if (!started) return null;
  if (state === 'running') {
    if (typeof trained === 'number' && trained > 0 && experiment.received) {
      return trained + (now - experiment.received) / 1000;
    }
    return Math.max(0, (now - Date.parse(started)) / 1000);
  }
  if (typeof trained === 'number' && trained > 0) return trained;
  return finished ? Math.max(0, (Date.parse(finished) - Date.parse(started)) / 1000) : null;
}

// -- specs ---------------------------------------------------------------------------------------------------

const PROBES = {loss: 'DataGrad', random: 'SpectReg', logits: 'FrobReg', softmax: 'JacReg', label: 'one-hot',
  random_label: 'random one-hot'};
const NAMES = {datagrad: 'DataGrad', double_backprop: 'DataGrad', spectreg: 'SpectReg', frobreg: 'FrobReg',
  jacreg: 'JacReg', onehot: 'one-hot', random_onehot: 'random one-hot'};

// "DataGrad 50", "weight decay 5e-4".
export function regularizer(setting) {
  const {type = 'penalty', probe, weight, norm, shape} = setting ?? {};
  let name = NAMES[type] ?? type.replaceAll('_', ' ');
  if (type === 'gradient_penalty') {
    const plain = (norm === undefined || norm === 'l2') && (shape === undefined || shape === 'squared');
    name = plain && PROBES[probe] ? PROBES[probe]
      : ['gradient penalty', probe, norm !== 'l2' && norm, shape].filter(Boolean).join(' ');
  }
  return weight === undefined ? name : `${name} ${number(weight, 6)}`;
}

// Whether there are no classes that could be right or wrong.
export const isRegression = (spec) => spec?.loss?.type === 'squared_error';

// One line on what an experiment is: the seed first, as a narrow column cuts the end.
export function summary(spec) {
  if (!spec) return '';
  const {model = {}, dataset = {}, regularizers = [], seed} = spec;
  const parts = seed === undefined ? [] : [`seed ${seed}`];
  const architecture = model.preset ?? model.type
    ?? (Array.isArray(model.layers) ? plural(model.layers.length, 'layer') : null);
  if (architecture && architecture !== 'layers') parts.push(String(architecture).replaceAll('_', ' '));
  else if (Array.isArray(model.layers)) parts.push(plural(model.layers.length, 'layer'));
  const data = dataset.name ?? dataset.type;
  if (data) parts.push(dataset.train_size ? `${data} (${count(dataset.train_size)})` : data);
  parts.push(regularizers.length ? regularizers.map(regularizer).join(' + ') : 'no regulariser');
  return parts.join(' · ');
}

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

// The command that submits `spec` to the server that this page came from; the token is that of the environment.
export function curlLine(spec, withToken) {
  return `curl ${location.origin}/api/v1/experiments \\\n  -H 'Content-Type: application/json' \\\n`
    + (withToken ? '  -H "Authorization: Bearer $GRADREG_TOKEN" \\\n' : '')
    + `  -d ${quoted(JSON.stringify(spec))}`;
}
