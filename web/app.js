// The frame: routes, the connection's state, and the title.

import {element, setAttribute, setText} from './dom.js';
import {showExperiment} from './experiment.js';
import {showList} from './list.js';
import {live} from './live.js';
import {showLogin, showSignOut} from './login.js';
import {keepPlaces, scrollToPlace} from './places.js';
import {showSweep} from './sweep.js';
import {showSweeps} from './sweeps.js';

const main = document.getElementById('main');
let leave = null; // an AbortController: ends what the present view has going

const routes = [
  {pattern: /^\/?$/, show: showList},
  {pattern: /^\/experiments\/?$/, show: showList},
  {pattern: /^\/experiments\/([1-9]\d{0,15})$/, show: (place, signal, id) => showExperiment(place, signal, Number(id))},
  {pattern: /^\/sweeps\/?$/, show: showSweeps},
  {pattern: /^\/sweeps\/([1-9]\d{0,15})$/, show: (place, signal, id) => showSweep(place, signal, Number(id))},
  {pattern: /^/, show: showNothing},
];

// A view that keeps its own query in the address replaces it without an event: any event is somebody's wish.
function route() {
  const path = location.hash.replace(/^#/, '').split('?')[0];
  const first = leave === null;
  leave?.abort();
  leave = new AbortController();
  const top = history.state?.top ?? 0;
  main.replaceChildren();
  scrollToPlace(top, main, leave.signal);
  const {pattern, show} = routes.find((one) => one.pattern.test(path));
  setAttribute(document.getElementById('nav-experiments'), 'aria-current', show === showList && 'page');
  setAttribute(document.getElementById('nav-sweeps'), 'aria-current', show === showSweeps && 'page');
  show(main, leave.signal, ...pattern.exec(path).slice(1));
  if (!first) main.focus({preventScroll: true});
}

function showNothing(place) {
  document.title = 'Not found – gradreg';
  place.append(element('section', {class: 'panel empty'},
    element('h1', {}, 'There is no such page'),
    element('p', {}, element('a', {href: '#/'}, 'All experiments'))));
}

const CONNECTION = {connecting: 'Connecting', live: 'Live', lost: 'Connection lost', resting: 'Resting'};
function showConnection() {
  const node = document.getElementById('connection');
  setAttribute(node, 'data-status', live.status);
  setText(document.getElementById('connection-text'), CONNECTION[live.status]);
  const banner = document.getElementById('lost-banner');
  banner.hidden = live.status !== 'lost';
  setText(banner, banner.hidden ? '' : 'The connection to the server is lost; what you see may be old. Trying again …');
}

// The skip link's address must not replace the route's.
document.querySelector('.skip-link').addEventListener('click', (event) => {
  event.preventDefault();
  main.focus();
});
keepPlaces();
addEventListener('hashchange', route);
// Any answer 401: what is shown is replaced by the question for a token, until the page is loaded again.
addEventListener('token-needed', () => {
  leave?.abort();
  live.stop();
  document.getElementById('connection').hidden = true;
  showLogin(main);
});
const session = showSignOut(document.querySelector('.site-header .page-width'));
live.addEventListener('status', showConnection);
live.start();
showConnection();
await session; // the commands that are shown depend on it
route();
