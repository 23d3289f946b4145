// How far a page was scrolled down, kept in its entry of the history: a page that comes anew begins at its top, Back
// leads to where it was left. The browser could not do that, as the pages' content comes later.

const PAUSE = 120; // milliseconds after the last movement
const PATIENCE = 5000; // milliseconds that a page has to grow to its former length

let timer = 0;
let restoring = false;

export function keepPlaces() {
  history.scrollRestoration = 'manual';
  addEventListener('scroll', () => {
    clearTimeout(timer);
    if (restoring) return;
    timer = setTimeout(() => history.replaceState({...history.state, top: Math.round(scrollY)}, ''), PAUSE);
  }, {passive: true});
  // What waits to be written belongs to the entry that was left. ("hashchange" comes later, after other tasks.)
  addEventListener('popstate', () => clearTimeout(timer));
}

// Scrolls to `top` as soon as `content` is long enough, unless the person moves first.
export function scrollToPlace(top, content, signal) {
  clearTimeout(timer); // of a movement of the page that was left
  restoring = top > 0;
  scrollTo(0, top);
  if (!restoring) return;
  const ended = new AbortController();
  const end = () => ended.abort();
  const growth = new ResizeObserver(() => {
    scrollTo(0, top);
    if (Math.abs(scrollY - top) < 1.5) end();
  });
  const patience = setTimeout(end, PATIENCE);
  ended.signal.addEventListener('abort', () => {
    growth.disconnect();
    clearTimeout(patience);
    restoring = false;
  });
  signal.addEventListener('abort', end, {signal: ended.signal});
  for (const type of ['wheel', 'touchmove', 'keydown', 'pointerdown']) {
    addEventListener(type, end, {signal: ended.signal, passive: true});
  }
  growth.observe(content);
}
