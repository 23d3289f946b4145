// The REST API, as far as the dashboard uses it.

const BASE = '/api/v1';

// An error with the server's own words (application/problem+json) where it gave some.
export class ApiError extends Error {
  constructor(status, title, detail, errors = []) {
    super(detail);
    this.errors = errors; // [{pointer, detail}] of what was sent
    this.status = status; // 0: the server was not reached
    this.title = title;
  }
}

async function request(method, path, body) {
  let response;
  const headers = {Accept: 'application/json', ...(body === undefined ? {} : {'Content-Type': 'application/json'})};
  try {
    const text = typeof body === 'string' ? body : body && JSON.stringify(body);
    response = await fetch(BASE + path, {method, headers, body: text, cache: 'no-store'});
  } catch {
    throw new ApiError(0, 'The server cannot be reached',
      'No answer came. Is gradreg serve still running, and on this address?');
  }
  if (response.ok) return response.status === 204 ? null : response.json().catch(() => null);
  const problem = await response.json().catch(() => ({}));
  if (response.status === 401 && path !== '/session') dispatchEvent(new Event('token-needed'));
  throw new ApiError(response.status, problem.title ?? `Error ${response.status}`,
    problem.detail ?? `${method} ${path} was answered with status ${response.status}.`, problem.errors);
}

// Only what is given: an empty parameter would be an error.
const queryOf = (parameters) =>
  new URLSearchParams(Object.entries(parameters).filter(([, value]) => value !== undefined && value !== null && value !== ''));

export const listExperiments = ({limit = 50, ...rest} = {}) => request('GET', `/experiments?${queryOf({...rest, limit})}`);
// The whole list as a file: "csv" or "jsonl".
export const exportUrl = (parameters, format) => `${BASE}/experiments?${queryOf({...parameters, format})}`;

export const getExperiment = (id) => request('GET', `/experiments/${id}`);
// parameters: max_points of each series, after (an iteration)
export const getMetrics = (id, parameters) => request('GET', `/experiments/${id}/metrics?${queryOf(parameters)}`);
export const getAnalysis = (id) => request('GET', `/experiments/${id}/analysis`);
export const cancelExperiment = (id) => request('POST', `/experiments/${id}/cancel`);
// action: "pause", "resume", "retry" or "replay" (which answers with the new experiment)
export const actOnExperiment = (id, action) => request('POST', `/experiments/${id}/${action}`);
export const cloneExperiment = (id, patch) => request('POST', `/experiments/${id}/clone`, patch);
export const logUrl = (id) => `${BASE}/experiments/${id}/log`;
export const deleteExperiment = (id) => request('DELETE', `/experiments/${id}`);
export const modelUrl = (id) => `${BASE}/experiments/${id}/model.safetensors`;
export const predictionsUrl = (id) => `${BASE}/experiments/${id}/predictions.csv`;
export const eventsUrl = `${BASE}/events`;

export function listSweeps({cursor, limit = 50} = {}) {
  const query = new URLSearchParams({limit});
  if (cursor) query.set('cursor', cursor);
  return request('GET', `/sweeps?${query}`);
}
export const getSweep = (id) => request('GET', `/sweeps/${id}`);
// Every combination of the axes is a row.
const tablePath = (id, query) => `/sweeps/${id}/table?${new URLSearchParams(query)}`;
export const getSweepTable = (id, metric) => request('GET', tablePath(id, {metric}));
export const sweepTableUrl = (id, format, metric) => BASE + tablePath(id, {format, metric});
export const sweepAction = (id, action) => request('POST', `/sweeps/${id}/${action}`);
export const deleteSweep = (id) => request('DELETE', `/sweeps/${id}`);

// Whether this browser has shown an access token, as far as it is known: what the server asked from it last.
let session = null;
export async function getSession() {
  session = await request('GET', '/session');
  return session;
}
export const signedIn = () => session?.session === true;
export const beginSession = (token) => request('POST', '/session', {token});
export const endSession = () => request('DELETE', '/session');
