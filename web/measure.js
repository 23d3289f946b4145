// The numbers of a sweep's metric as people read them: accuracies in percent, everything else as it is.

import {MISSING, estimate} from './format.js';

export const isAccuracy = (metric) => metric.includes('accuracy');

// What the numbers of a metric are multiplied by to be shown, and their unit.
export const factorOf = (metric) => isAccuracy(metric) ? 100 : 1;
export const unitOf = (metric) => isAccuracy(metric) ? '%' : metric.endsWith('_seconds') ? 's' : '';

// A value, or a mean with half of its interval; the unit stands in the heading.
export function metricText(metric, mean, interval = null, signed = false) {
  if (mean === null || mean === undefined) return MISSING;
  const factor = factorOf(metric), half = interval && factor * (interval[1] - interval[0]) / 2;
  return estimate(factor * mean, half, {signed, decimals: isAccuracy(metric) ? 2 : null});
}

export const metricHeading = (metric) => unitOf(metric) ? `${metric} in ${unitOf(metric)}` : metric;
