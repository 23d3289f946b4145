// The one event stream of this page: a browser gives a server six connections, all tabs together, so that every view
// shares it and a tab that has been hidden for a while gives it back.
//
// Events of `live`: "status" (its own state changed), "open" (a stream has (re)connected: what it did not see
// has to be read again), and the server's "experiment", "metrics", "progress", "deleted" with their data in
// `detail`.

import {eventsUrl} from './api.js';

const HIDDEN_MILLISECONDS = 20_000;
const RETRY_MILLISECONDS = [1000, 2000, 4000, 8000, 15_000];

class Live extends EventTarget {
  status = 'connecting'; // "connecting" | "live" | "lost" | "resting"
  #source = null;
  #retries = 0;
  #stopped = false;
  #retryTimer = 0;
  #hiddenTimer = 0;
  #changes = new Map(); // experiment → number of its last change
  #change = 0;

  start() {
    document.addEventListener('visibilitychange', () => {
      clearTimeout(this.#hiddenTimer);
      if (document.hidden) this.#hiddenTimer = setTimeout(() => this.#rest(), HIDDEN_MILLISECONDS);
      else if (this.status === 'resting') this.#connect();
    });
    addEventListener('online', () => this.status === 'lost' && this.#connect());
    this.#connect();
  }

  // For good: nothing is asked any more.
  stop() {
    this.#stopped = true;
    this.#rest();
  }

  // For answers that race with events: what was asked for before a change is older than that change.
  get change() {
    return this.#change;
  }

  changedSince(id, change) {
    return (this.#changes.get(id) ?? 0) > change;
  }

  #connect() {
    clearTimeout(this.#retryTimer);
    if (this.#stopped) return;
    this.#source?.close();
    const source = new EventSource(eventsUrl);
    this.#source = source;
    source.onopen = () => {
      this.#retries = 0;
      this.#setStatus('live');
      this.dispatchEvent(new Event('open'));
    };
    source.onerror = () => {
      this.#setStatus('lost');
      // The browser retries what broke off, at its own pace; an answer that was no stream ends its tries, and a
      // server that is gone for long deserves a slower pace than the browser's.
      source.close();
      const wait = RETRY_MILLISECONDS[Math.min(this.#retries, RETRY_MILLISECONDS.length - 1)];
      this.#retries += 1;
      this.#retryTimer = setTimeout(() => this.#connect(), wait);
    };
    for (const type of ['experiment', 'metrics', 'progress', 'deleted']) {
      source.addEventListener(type, (event) => this.#receive(type, event.data));
    }
  }

  #receive(type, data) {
    let detail;
    try {
      detail = JSON.parse(data);
    } catch {
      return; // a stream that broke off in the middle of an event
    }
    if (type === 'experiment') detail.received = Date.now();
    if (type === 'experiment' || type === 'deleted') this.#changes.set(detail.id, ++this.#change);
    this.dispatchEvent(new CustomEvent(type, {detail}));
  }

  #rest() {
    clearTimeout(this.#retryTimer);
    this.#source?.close();
    this.#source = null;
    this.#setStatus('resting');
  }

  #setStatus(status) {
    if (this.status === status) return;
    this.status = status;
    this.dispatchEvent(new Event('status'));
  }
}

export const live = new Live();

// Listens until `signal` aborts.
export function listen(signal, handlers) {
  for (const [type, handler] of Object.entries(handlers)) {
    live.addEventListener(type, (event) => handler(event.detail), {signal});
  }
}
