// What the list shows, and in which order: the state, the filter in the server's language, the sort keys. All of it is
// part of the address, so that Back and a bookmark bring it back.

import {exportUrl} from './api.js';
import {element, setAttribute, stateNames} from './dom.js';

// What a column's heading sorts by; `down`: the greatest first, when it is chosen first.
export const SORTABLE = {
  name: {label: 'Name', key: 'name'},
  state: {label: 'State', key: 'state'},
  validation: {label: 'Validation accuracy', key: 'metrics.validation_accuracy', down: true},
  test: {label: 'Test accuracy', key: 'metrics.test_accuracy', down: true},
  created: {label: 'Created', key: 'created_at', down: true},
  duration: {label: 'Duration', key: 'elapsed_seconds', down: true},
};

// The address of the list as it was last shown: the way back to it.
let address = '#/';
export const listAddress = () => address;
// That of the experiments for which a filter holds.
export const filteredAddress = (filter, state = '') => `#/?${new URLSearchParams({...(state && {state}), filter})}`;

export class Query {
  state;
  filter;
  sort;
  text; // searched for in what is loaded, by the page itself
  isWrong = false; // the server has refused the filter or the sort; until they change it would again

  // `changed` is called where the server has to be asked again.
  constructor(changed) {
    const wanted = new URLSearchParams(location.hash.split('?')[1] ?? '');
    this.state = stateNames.includes(wanted.get('state')) ? wanted.get('state') : '';
    this.filter = wanted.get('filter') ?? '';
    this.sort = wanted.get('sort') ?? '';
    this.text = wanted.get('q') ?? '';
    this.changed = changed;

    this.input = element('input', {type: 'text', class: 'filter-text', value: this.filter, autocomplete: 'off',
      autocapitalize: 'off', spellcheck: 'false', 'aria-label': 'Filter', 'aria-describedby': 'filter-problem',
      placeholder: 'metrics.test_accuracy > 0.97 AND params.regularizers.datagrad.weight IN (1, 50)'});
    this.problem = element('div', {class: 'filter-problem', id: 'filter-problem', role: 'alert', hidden: true});
    this.choice = element('select', {class: 'sort-choice', 'aria-label': 'Sort by', onchange: () => this.#sortBy(this.choice.value)});
    this.downloads = ['csv', 'jsonl'].map((format) => element('a', {class: 'button quiet', download: `experiments.${format}`},
      format === 'csv' ? 'CSV' : 'JSON Lines'));
    this.downloads[0].setAttribute('aria-label', 'Download the list as CSV');
    this.downloads[1].setAttribute('aria-label', 'Download the list as JSON Lines');
    this.node = element('form', {class: 'query', role: 'search', 'aria-label': 'Filter and order', onsubmit: (event) => {
      event.preventDefault();
      this.#filterBy(this.input.value);
    }},
    this.input,
    element('button', {class: 'button', type: 'submit'}, 'Filter'),
    this.choice,
    element('span', {class: 'downloads'}, this.downloads),
    this.problem);
    this.input.addEventListener('change', () => this.#filterBy(this.input.value));
    this.#settle();
  }

  // In the server's words, for api.js.
  get parameters() {
    return {state: this.state, filter: this.filter, sort: this.sort};
  }

  // Whether the server alone knows which experiments belong here, and where.
  get isServers() {
    return this.filter !== '' || this.sort !== '';
  }

  get isEmpty() {
    return !this.state && !this.filter && !this.text;
  }

  clear() {
    this.input.value = this.state = this.filter = this.text = '';
    this.#forgive();
    this.#settle();
  }

  setState(state) {
    this.state = state;
    this.#ask();
  }

  setText(text) {
    this.text = text;
    this.#settle();
  }

  // The next of a column's three orders: as it is read best, the other way, none.
  turn(column) {
    const {key, down} = SORTABLE[column];
    const orders = down ? [`-${key}`, key, ''] : [key, `-${key}`, ''];
    this.#sortBy(orders[(orders.indexOf(this.sort) + 1) % 3]);
  }

  // 'ascending', 'descending' or null.
  directionOf(column) {
    const {key} = SORTABLE[column];
    return this.sort === key ? 'ascending' : this.sort === `-${key}` ? 'descending' : null;
  }

  // The order in words.
  get order() {
    const column = Object.keys(SORTABLE).find((name) => this.directionOf(name));
    return column ? `by ${SORTABLE[column].label.toLowerCase()}, ${this.directionOf(column)}`
      : this.sort ? `by ${this.sort}` : 'newest first';
  }

  // Shows the server's error under the character that it is about. False where it is none of the filter's or the sort's.
  show(error) {
    const at = error.errors?.find(({parameter, column}) => parameter && column);
    if (!at) return false;
    const isFilter = at.parameter === 'filter';
    const text = isFilter ? this.filter : this.sort;
    const before = [...text].slice(0, at.column - 1).join('');
    const rest = text.slice(before.length);
    const word = /^[\w."'-]+|^[^\s]/u.exec(rest)?.[0] ?? ' ';
    this.problem.replaceChildren(
      element('code', {class: 'filter-echo'}, before, element('mark', {}, word), rest.slice(word.length)),
      element('p', {}, `${isFilter ? 'Column' : 'The order, column'} ${at.column}: ${at.detail}`));
    this.problem.hidden = false;
    this.isWrong = true;
    (isFilter ? this.input : this.choice).setAttribute('aria-invalid', 'true');
    // Not where somebody has typed on since.
    if (isFilter && document.activeElement === this.input && this.input.value.trim() === this.filter) {
      this.input.setSelectionRange(before.length, before.length + word.trim().length);
    }
    return true;
  }

  #filterBy(text) {
    if (text.trim() === this.filter) return;
    this.filter = text.trim();
    this.#ask();
  }

  #sortBy(sort) {
    this.sort = sort;
    this.#ask();
  }

  #ask() {
    this.#forgive();
    this.#settle();
    this.changed();
  }

  #forgive() {
    this.isWrong = false;
    this.problem.hidden = true;
    for (const node of [this.input, this.choice]) node.removeAttribute('aria-invalid');
  }

  // Address, links and choices say what is shown.
  #settle() {
    const query = new URLSearchParams();
    const named = {state: this.state, filter: this.filter, sort: this.sort, q: this.text};
    for (const [name, value] of Object.entries(named)) if (value) query.set(name, value);
    address = query.size ? `#/?${query}` : '#/';
    history.replaceState(history.state, '', address);
    ['csv', 'jsonl'].forEach((format, i) => setAttribute(this.downloads[i], 'href', exportUrl(this.parameters, format)));
    const choices = [['', 'Newest first'], ...Object.values(SORTABLE).flatMap(({label, key, down}) => {
      const both = [[key, `${label} ↑`], [`-${key}`, `${label} ↓`]];
      return down ? both.reverse() : both;
    })];
    // Where no heading shows the order, the choice does, and leads out of it.
    const isOdd = !choices.some(([key]) => key === this.sort);
    if (isOdd) choices.push([this.sort, this.sort]);
    this.choice.classList.toggle('needed', isOdd);
    this.choice.replaceChildren(...choices.map(([key, label]) => element('option', {value: key, selected: key === this.sort}, label)));
  }
}

