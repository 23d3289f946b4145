// What a person can do to an experiment, with a question first.

import {cancelExperiment, deleteExperiment} from './api.js';
import {announce, confirm, element, setText} from './dom.js';
import {live} from './live.js';

const CANCELLABLE = new Set(['queued', 'running', 'paused']);

export const isCancellable = (experiment) => CANCELLABLE.has(experiment.state);

const titled = (experiment) => `#${experiment.id} ${experiment.name ?? ''}`.trim();

async function perform(question, action, done) {
  if (!await confirm(question)) return;
  try {
    done(await action());
  } catch (error) {
    announce(error.message);
    await tell(error);
  }
}

function tell(error) {
  const dialog = element('dialog', {class: 'dialog', 'aria-labelledby': 'dialog-title', onclose: () => dialog.remove()},
    element('form', {method: 'dialog'},
      element('h2', {id: 'dialog-title'}, error.title ?? 'That did not work'),
      element('p', {}, error.message),
      element('div', {class: 'dialog-actions'}, element('button', {class: 'button', autofocus: true}, 'Close'))));
  document.body.append(dialog);
  dialog.showModal();
}

// `cancelled` gets the experiment as the server answered, unless an event that came meanwhile has told more;
// `deleted` gets nothing.
export function cancel(experiment, cancelled) {
  let change;
  return perform({
    title: 'Cancel this experiment?',
    text: `${titled(experiment)} stops within one batch and does not go on later. Its curves so far are kept.`,
    action: 'Cancel the experiment', danger: true,
  }, () => {
    change = live.change;
    return cancelExperiment(experiment.id);
  }, (after) => {
    if (after && !live.changedSince(experiment.id, change)) cancelled({...after, received: Date.now()});
  });
}

export function remove(experiment, deleted) {
  return perform({
    title: 'Delete this experiment?',
    text: `${titled(experiment)}, its curves and its model disappear from every list.`,
    action: 'Delete the experiment', danger: true,
  }, () => deleteExperiment(experiment.id), deleted);
}

// One button that is "Cancel" while there is something to stop and "Delete" afterwards.
export function actionButton(current, {cancelled, deleted}, extraClass = 'small') {
  const button = element('button', {type: 'button', class: `button quiet ${extraClass}`, onclick() {
    const experiment = current();
    if (isCancellable(experiment)) cancel(experiment, cancelled);
    else remove(experiment, deleted);
  }});
  return {node: button, update() {
    const experiment = current();
    const word = isCancellable(experiment) ? 'Cancel' : 'Delete';
    setText(button, word);
    button.disabled = experiment.state === 'running' && experiment.cancel_requested === true;
    button.setAttribute('aria-label', `${word} experiment ${titled(experiment)}`);
  }};
}
