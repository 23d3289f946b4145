// Small helpers over the DOM. Nothing here sets a style attribute: the Content-Security-Policy forbids them.

// element('a', {class: 'x', href: '#/', onclick: f, hidden: true}, 'text', child, …): null children are left out.
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

// Sets the text only where it differs, so that selections and screen readers are left in peace.
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function setAttribute(node, name, value) {
  if (value === null || value === undefined || value === false) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

// Makes `children` those of `node`. What looks the same stays, and the focus goes from a link or button that is replaced
// to the one that leads to the same.
export function redraw(node, children) {
  const purpose = (one) => one.getAttribute('href') ?? one.textContent;
  const focused = node.contains(document.activeElement) ? document.activeElement : null;
  children.forEach((child, i) => {
    const old = node.children[i];
    if (!old) node.append(child);
    else if (old.outerHTML !== child.outerHTML) old.replaceWith(child);
  });
  while (node.children.length > children.length) node.lastElementChild.remove();
  if (!focused || focused.isConnected) return;
  [...node.querySelectorAll('a, button')].find((one) => purpose(one) === purpose(focused))?.focus({preventScroll: true});
}

export function announce(text) {
  setText(document.getElementById('announcements'), text);
}

const STATES = {
  queued: 'Queued', running: 'Running', paused: 'Paused', succeeded: 'Succeeded', failed: 'Failed',
  diverged: 'Diverged', cancelled: 'Cancelled',
};

export const stateNames = Object.keys(STATES);

// A state as a word with a sign, so that it never rests on colour alone.
export function badge(state) {
  const node = element('span', {class: 'badge'});
  updateBadge(node, state);
  return node;
}

export function updateBadge(node, state) {
  setAttribute(node, 'data-state', state);
  setText(node, STATES[state] ?? state);
}

// A progress bar: <div role="progressbar"> with a fill that a style property scales.
export function progressBar(label) {
  const fill = element('span', {class: 'progress-fill'});
  const node = element('div', {class: 'progress', role: 'progressbar', 'aria-label': label,
    'aria-valuemin': 0, 'aria-valuemax': 100}, fill);
  return {node, update(fraction, state) {
    const bounded = Math.min(1, Math.max(0, fraction || 0));
    fill.style.transform = `scaleX(${bounded})`;
    setAttribute(node, 'aria-valuenow', Math.floor(bounded * 100));
    setAttribute(node, 'data-state', state);
  }};
}

// A button that copies what `text()` gives, and says so.
export function copyButton(text, label = 'Copy', what = '') {
  const caption = element('span', {}, label);
  let timer = 0;
  return element('button', {class: 'button small', type: 'button', 'aria-label': `${label} ${what}`.trim(),
    async onclick() {
      const done = await copy(text());
      setText(caption, done ? 'Copied' : 'Select and copy by hand');
      announce(done ? `${what || 'Text'} copied` : 'Copying was refused by the browser');
      clearTimeout(timer);
      timer = setTimeout(() => setText(caption, label), 1800);
    }}, caption);
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // No clipboard outside secure contexts (http to another machine): the older way.
    const area = element('textarea', {class: 'visually-hidden', readonly: true, 'aria-hidden': 'true'});
    area.value = text;
    document.body.append(area);
    const focused = document.activeElement;
    area.select();
    const done = document.execCommand('copy');
    area.remove();
    focused?.focus?.();
    return done;
  }
}

// Asks in a modal dialog; resolves to true where the person confirmed.
export function confirm({title, text, action, danger = false}) {
  return new Promise((resolve) => {
    const dialog = element('dialog', {class: 'dialog', 'aria-labelledby': 'dialog-title',
      onclose() {
        resolve(dialog.returnValue === 'confirm');
        dialog.remove();
      }},
    element('form', {method: 'dialog'},
      element('h2', {id: 'dialog-title'}, title),
      element('p', {}, text),
      element('div', {class: 'dialog-actions'},
        element('button', {class: 'button', value: 'no', autofocus: true}, 'Keep it'),
        element('button', {class: danger ? 'button danger' : 'button primary', value: 'confirm'}, action))));
    document.body.append(dialog);
    dialog.showModal();
  });
}

// An error where the content would be, with what can be done about it.
export function errorPanel(error, retry) {
  return element('section', {class: 'panel error-panel', role: 'alert'},
    element('h2', {}, error.title ?? 'Something went wrong'),
    element('p', {}, error.message),
    retry ? element('button', {class: 'button', type: 'button', onclick: retry}, 'Try again') : null);
}
