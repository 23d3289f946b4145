// What a person can do to an experiment, with a question first.

import {actOnExperiment, cancelExperiment, cloneExperiment, deleteExperiment} from './api.js';
import {announce, confirm, element, setAttribute, setText} from './dom.js';
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
    text: `${titled(experiment)}, its curves and its model leave every list for the trash, from which `
      + `POST /api/v1/experiments/${experiment.id}/undelete brings them back.`,
    action: 'Delete the experiment', danger: true,
  }, () => deleteExperiment(experiment.id), deleted);
}

// Not "disabled": a button that has been pressed keeps the focus until it is clear what comes next.
const disable = (button, isDisabled) => setAttribute(button, 'aria-disabled', isDisabled && 'true');

// One button that is "Cancel" while there is something to stop and "Delete" afterwards.
export function actionButton(current, {cancelled, deleted}, extraClass = 'small') {
  const button = element('button', {type: 'button', class: `button quiet ${extraClass}`, onclick() {
    if (button.ariaDisabled) return;
    const experiment = current();
    if (isCancellable(experiment)) cancel(experiment, cancelled);
    else remove(experiment, deleted);
  }});
  return {node: button, update() {
    const experiment = current();
    const word = isCancellable(experiment) ? 'Cancel' : 'Delete';
    setText(button, word);
    disable(button, experiment.state === 'running' && experiment.cancel_requested === true);
    button.setAttribute('aria-label', `${word} experiment ${titled(experiment)}`);
  }};
}

// -- what can be done on an experiment's own page ----------------------------------------------------------------

const LIFE = [
  {action: 'pause', word: 'Pause', states: ['queued', 'running'], title: 'Checkpoint it and set it aside'},
  {action: 'resume', word: 'Resume', states: ['paused'], title: 'Let it go on from its checkpoint'},
  {action: 'retry', word: 'Retry', states: ['failed', 'diverged', 'cancelled'],
    title: 'Queue it again; it goes on from its last checkpoint, or begins anew where there is none'},
  {action: 'replay', word: 'Replay', states: ['succeeded', 'diverged'],
    title: 'Train it again as a new experiment, and compare the results bit for bit'},
  {action: 'clone', word: 'Clone', states: null, title: 'Submit its spec again, with changes'},
];

const show = (experiment) => { location.hash = `#/experiments/${experiment.id}`; };

// Buttons for what fits the state. `taken` gets the experiment after a pause, a resume or a retry.
export function lifeButtons(current, taken) {
  const buttons = LIFE.map((row) => {
    const node = element('button', {type: 'button', class: 'button quiet', title: row.title, async onclick() {
      const experiment = current();
      if (row.action === 'clone') return clone(experiment);
      if (node.ariaDisabled) return;
      const change = live.change;
      disable(node, true);
      try {
        const after = await actOnExperiment(experiment.id, row.action);
        if (row.action === 'replay') show(after);
        else if (!live.changedSince(experiment.id, change)) taken({...after, received: Date.now()});
      } catch (error) {
        announce(error.message);
        await tell(error);
      } finally {
        disable(node, false);
      }
    }}, row.word);
    return {row, node};
  });
  return {nodes: buttons.map(({node}) => node), update() {
    const experiment = current();
    const focused = buttons.find(({node}) => node === document.activeElement);
    for (const {row, node} of buttons) {
      node.hidden = row.states !== null && !row.states.includes(experiment.state);
      if (row.action === 'pause') disable(node, experiment.pause_requested || experiment.cancel_requested);
      node.setAttribute('aria-label', `${row.word} experiment ${titled(experiment)}`);
    }
    if (focused?.node.hidden) buttons.find(({node}) => !node.hidden).node.focus();
  }};
}

// Asks for the changes, a JSON merge patch, until the server takes them or the person gives up.
function clone(experiment) {
  const seed = experiment.spec?.seed ?? 0;
  const text = element('textarea', {class: 'code patch', rows: 6, spellcheck: 'false', 'aria-label': 'Changes, as a JSON merge patch',
    autofocus: true});
  text.value = JSON.stringify({seed: seed + 1}, null, 2);
  const problem = element('p', {class: 'problem', role: 'alert', hidden: true});
  const submit = element('button', {class: 'button primary', type: 'submit'}, 'Submit the clone');
  const dialog = element('dialog', {class: 'dialog', 'aria-labelledby': 'dialog-title', onclose: () => dialog.remove()},
    element('form', {async onsubmit(event) {
      event.preventDefault();
      submit.disabled = true;
      try {
        const made = await cloneExperiment(experiment.id, text.value.trim() || '{}');
        dialog.close();
        show(made);
      } catch (error) {
        // What is wrong with the whole stands in the message.
        problem.replaceChildren(error.message, ...error.errors.filter(({pointer}) => pointer).map(({pointer, detail}) =>
          element('span', {class: 'patch-error'}, `${pointer}: ${detail}`)));
        problem.hidden = false;
        submit.disabled = false;
      }
    }},
    element('h2', {id: 'dialog-title'}, 'Clone this experiment'),
    element('p', {}, `A new experiment with the spec of ${titled(experiment)} and these changes; null takes a member out.`),
    text, problem,
    element('div', {class: 'dialog-actions'},
      element('button', {class: 'button', type: 'button', onclick: () => dialog.close()}, 'Leave it'), submit)));
  document.body.append(dialog);
  dialog.showModal();
}
