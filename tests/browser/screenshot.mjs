// The picture in the README, from a real comparison: screenshot.mjs FILE [DATA]. DATA is a data folder with MNIST in
// it (its data sets are linked, nothing is written there); without it the generated digits serve.
// Run by tools/screenshot.

import {mkdir, rm, symlink} from 'node:fs/promises';
import {availableParallelism} from 'node:os';
import path from 'node:path';

import {api, openPage, startBrowser, startServer, temporaryFolder, until} from './harness.mjs';

const [file, data] = process.argv.slice(2);
if (!file) throw new Error('usage: screenshot.mjs FILE [DATA]');

const METHODS = {
  baseline: [],
  'DataGrad 50': [{type: 'datagrad', weight: 50}],
  'SpectReg 0.03': [{type: 'spectreg', weight: 0.03}],
};
const spec = (method, seed) => ({
  name: `LeNet, ${method}`,
  tags: {comparison: 'gradient penalties'},
  seed,
  dataset: {name: data ? 'mnist' : 'digits', train_size: 2000},
  model: {preset: 'lenet', dropout: 0.5},
  regularizers: [...METHODS[method], {type: 'weight_decay', weight: 0.0005}],
  schedule: {type: 'piecewise', boundaries: [0.5, 0.75], factors: [1, 0.1, 0.01]},
  training: {iterations: 10000, batch_size: 50, evaluate_every: 200},
});

const folder = await temporaryFolder();
let server, browser;
try {
  if (data) {
    await mkdir(path.join(folder, 'datasets'));
    await symlink(path.resolve(data, 'datasets', 'mnist'), path.join(folder, 'datasets', 'mnist'));
  }
  server = await startServer({folder, workers: Math.max(1, Math.min(2, availableParallelism()))});
  for (const seed of [1, 2]) {
    for (const method of Object.keys(METHODS)) await api(server.address, 'POST', '/experiments', spec(method, seed));
  }
  browser = await startBrowser({viewport: {width: 1440, height: 900}, deviceScaleFactor: 1.5});
  const {page, complaints} = await openPage(browser.context);
  const get = (id) => api(server.address, 'GET', `/experiments/${id}`);
  const picture = (name) => page.screenshot({path: name});
  const base = file.replace(/\.png$/, '');

  // The first DataGrad run, while its curves still move, and the list around it: some done, some waiting.
  const watched = 2;
  await page.goto(`${server.address}/#/experiments/${watched}`);
  const {state} = await until('the run is past two thirds', async () => {
    const experiment = await get(watched);
    return experiment.state !== 'queued' && (experiment.state !== 'running' || experiment.progress.fraction > 0.68)
      && experiment;
  }, 1800);
  if (state !== 'running' && state !== 'succeeded') throw new Error(`the run is ${state}`);
  await page.waitForTimeout(150);
  await picture(`${base}-running.png`);
  await page.goto(`${server.address}/#/`);
  await page.locator('tr[data-id="6"]').waitFor();
  await page.waitForTimeout(300);
  await picture(`${base}-list.png`);
  await page.goto(`${server.address}/#/experiments/${watched}`);
  await until('the run has succeeded', async () => (await get(watched)).state === 'succeeded', 1800);
  await page.locator('.overline .badge[data-state="succeeded"]').waitFor();
  await page.waitForTimeout(400);
  await picture(file);
  if (complaints.length) throw new Error(complaints.join('\n'));
} finally {
  await browser?.stop();
  await server?.stop();
  await rm(folder, {recursive: true, force: true});
}
