// The page that asks for an access token, and the way out. The token is exchanged for a cookie that scripts cannot
// read, because event streams and downloads send no header of ours.

import {beginSession, endSession, getSession} from './api.js';
import {element, setText} from './dom.js';

export function showLogin(main) {
  if (main.querySelector('#login')) return;
  document.title = 'Access token – gradreg';
  const problem = element('p', {class: 'login-problem', role: 'alert'});
  const field = element('input', {
    id: 'token', name: 'token', type: 'password', autocomplete: 'current-password', required: true,
    spellcheck: 'false', placeholder: 'gradreg_…', 'aria-describedby': 'login-help',
  });
  const button = element('button', {class: 'button primary', type: 'submit'}, 'Continue');
  const form = element('form', {id: 'login', class: 'panel empty login'},
    element('h1', {}, 'This server wants an access token'),
    element('p', {id: 'login-help'}, 'Whoever runs it makes one with ',
      element('code', {}, 'gradreg token create NAME'), '.'),
    element('label', {for: 'token'}, 'Access token'), field, button, problem);
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    button.disabled = true;
    setText(problem, '');
    try {
      await beginSession(field.value.trim());
      location.reload(); // everything is asked again, with the cookie
    } catch (error) {
      setText(problem, error.message);
      field.focus();
    } finally {
      button.disabled = false;
    }
  });
  main.replaceChildren(form);
  field.focus();
}

// A button in the header, where there is a session that can be ended.
export async function showSignOut(header) {
  const session = await getSession().catch(() => null);
  if (!session?.session) return;
  const button = element('button', {class: 'button quiet small', id: 'sign-out', type: 'button'}, 'Sign out');
  button.title = `Signed in with the token ${session.name} (${session.scope})`;
  button.addEventListener('click', async () => {
    await endSession().catch(() => null);
    location.reload();
  });
  header.append(button);
}
