// Successive halving: what each arm was worth at every rung, and who went on.

import {element} from './dom.js';
import {MISSING, count} from './format.js';
import {isAccuracy, metricHeading, metricText} from './measure.js';
import {filteredAddress} from './query.js';

// Who came furthest is first, of these the best.
function byMerit(metric) {
  const sign = isAccuracy(metric) ? -1 : 1;
  const worth = ({value}) => value === null ? Infinity : sign * value;
  return (one, other) => {
    const [a, b] = [one.at(-1), other.at(-1)];
    return b.iterations - a.iterations || (worth(a) < worth(b) ? -1 : worth(a) > worth(b) ? 1 : a.arm - b.arm);
  };
}

// What became of an arm at a rung.
function fate({value, promoted, last}, open) {
  if (last) return 'trained to the end';
  if (promoted) return 'went on';
  if (value === null) return 'without a value';
  return open ? 'waits' : 'stopped';
}

// The rungs of a sweep as the rows and the heading of a table: a line for each arm that has come to one.
export function rungsTable({id, spec: {metric}, rungs, arm_list: arms, state}) {
  const stops = [...new Set(rungs.map(({iterations}) => iterations))].sort((a, b) => a - b);
  const steps = Map.groupBy(rungs, ({arm}) => arm);
  const open = !['finished', 'cancelled'].includes(state);
  return {
    head: [element('tr', {}, element('th', {scope: 'col'}, 'Arm'),
      stops.map((stop) => element('th', {scope: 'col'}, `${count(stop)} iterations`)))],
    rows: [...steps.values()].sort(byMerit(metric)).map((taken) => element('tr', {},
      element('th', {scope: 'row'}, element('a', {href: filteredAddress(`sweep = ${id} AND arm = ${taken[0].arm}`)},
        arms[taken[0].arm].label)),
      stops.map((stop) => {
        const rung = taken.find(({iterations}) => iterations === stop);
        if (!rung) return element('td', {class: 'missing'}, MISSING);
        const word = fate(rung, open);
        return element('td', {class: 'rung', 'data-fate': word}, metricText(metric, rung.value), element('span', {}, word));
      }))),
    note: `${metricHeading(metric)} at every rung, a mean over seeds. The best share of those who have come goes on; the ` +
      'others are stopped there by design.',
  };
}
