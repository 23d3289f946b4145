// The pages of sweeps, against a real server: the list, the table with its pictures, downloads, actions, both colour
// schemes and all widths.

import assert from 'node:assert/strict';
import {rm} from 'node:fs/promises';

import {api, openPage, startBrowser, startServer, temporaryFolder, until} from './harness.mjs';

const SWEEP = {
  name: 'Penalties',
  base: {
    dataset: {name: 'digits', train_size: 100, validation_size: 100},
    model: {preset: 'mlp', widths: [8]},
    training: {iterations: 30, batch_size: 20, evaluate_every: 10},
  },
  axes: [{name: 'method', pointer: '/regularizers', values: [
    {label: 'none', value: []}, {label: 'DataGrad 1', value: [{type: 'datagrad', weight: 1}]}]}],
  repeats: 3,
  baseline: {method: 'none'},
};

const HALVING = {
  ...SWEEP, name: 'Halving', repeats: 1, baseline: null, confidence: 0.995,
  strategy: {type: 'asha', minimum_iterations: 10},
  axes: [{pointer: '/model/widths/0', values: [2, 4, 8, 16]}],
};

const ENDLESS = {
  name: 'Endless', repeats: 1, axes: [{pointer: '/model/widths/0', values: [8, 16]}], baseline: {0: '8'},
  base: {
    dataset: {name: 'toy1'}, model: {preset: 'mlp', widths: [8]}, loss: {type: 'squared_error'}, optimizer: {type: 'adam'},
    training: {iterations: 10_000_000, batch_size: 20, evaluate_every: 100_000},
  },
};

const folder = await temporaryFolder();
let server, browser;
try {
  server = await startServer({folder});
  browser = await startBrowser({viewport: {width: 1280, height: 900}});
  const {page, complaints} = await openPage(browser.context);
  await page.goto(`${server.address}/#/sweeps`);
  await page.getByText('No sweeps yet').waitFor();
  await api(server.address, 'POST', '/sweeps', SWEEP); // appears by itself
  await page.getByRole('link', {name: 'Penalties'}).click();
  await page.locator('h1', {hasText: 'Penalties'}).waitFor();
  await page.locator('.badge', {hasText: 'Finished'}).waitFor({timeout: 60_000});
  await until('every seed is drawn', async () => await page.locator('.plot-seed').count() === 6);

  const {cells} = await api(server.address, 'GET', '/sweeps/1/table');
  const shown = await page.locator('tr[data-arm="1"] .sweep-value').textContent();
  assert.ok(shown.startsWith((cells[1].mean * 100).toFixed(2)), `${shown} is the mean ${cells[1].mean}`);
  assert.equal(await page.locator('tr[data-arm="0"] .verdict').textContent(), 'baseline');
  await page.getByLabel('Metric').selectOption('train_loss');
  await page.locator('thead', {hasText: 'train_loss'}).waitFor();
  const arms = () => page.locator('tbody tr').evaluateAll((lines) => lines.map((line) => Number(line.dataset.arm)));
  const [first, second] = (await api(server.address, 'GET', '/sweeps/1/table?metric=train_loss')).cells;
  const byMean = first.mean > second.mean ? [0, 1] : [1, 0];
  const heading = page.getByRole('columnheader', {name: 'train_loss'});
  for (const [order, direction] of [[byMean, 'descending'], [byMean.toReversed(), 'ascending'], [[0, 1], null]]) {
    await heading.getByRole('button').click();
    assert.deepEqual(await arms(), order, `ordered by the mean, ${direction}`);
    assert.equal(await heading.getAttribute('aria-sort'), direction);
  }
  await page.getByRole('button', {name: 'Difference'}).click();
  assert.deepEqual(await arms(), [1, 0], 'the baseline has no difference and comes last');
  const csv = await (await fetch(new URL(await page.getByRole('link', {name: 'CSV'}).getAttribute('href'), server.address))).text();
  assert.equal(csv.trim().split('\r\n').length, 3);

  // How numbers are written.
  const written = await page.evaluate(async () => {
    const {estimate, marksText, measured, number} = await import('/format.js');
    return [estimate(190779.4, 57110.3), estimate(0.0010707, 0.00022), estimate(5.393e11, 2e10), estimate(-7.74e-5, 1.2e-4),
      estimate(0.25, 0), estimate(1.749, null, {decimals: 2, signed: true}), measured(0.37), measured(9.9999),
      measured(123456.7), measured(-7.743e-5), number(5e-4), number(1e-4), number(2.50), ...marksText([0, 0.5, 1], 0.5)];
  });
  assert.deepEqual(written, ['190,779 ± 57,110', '0.00107 ± 0.00022', '(5.39 ± 0.20)×10¹¹', '−0.00008 ± 0.00012', '0.2500 ± 0',
    '+1.75', '0.3700', '10.00', '123,457', '−7.743×10⁻⁵', '5×10⁻⁴', '10⁻⁴', '2.5', '0.0', '0.5', '1.0']);

  // What cannot be read leaves the table, and the menu with it, as they are, and says so.
  await page.route('**/sweeps/1/table?*', (route) => route.abort());
  await page.getByLabel('Metric').selectOption('test_loss');
  await page.locator('.problem', {hasText: 'No answer came'}).waitFor();
  assert.equal(await page.getByLabel('Metric').inputValue(), 'train_loss');
  assert.ok(page.url().endsWith('metric=train_loss'), page.url());
  await page.unroute('**/sweeps/1/table?*');
  await page.getByLabel('Metric').selectOption('test_loss');
  await page.locator('thead', {hasText: 'test_loss'}).waitFor();
  await page.locator('.problem').waitFor({state: 'hidden'});
  await page.goto(`${server.address}/#/sweeps/9999`);
  await page.locator('h1', {hasText: 'There is no sweep 9999'}).waitFor();
  await page.goto(`${server.address}/#/sweeps/1?metric=test-loss`);
  await page.getByRole('link', {name: 'Show it with its own metric'}).click();
  await page.locator('thead', {hasText: 'test_accuracy in %'}).waitFor();
  for (const expected of ['ERR_FAILED', '404', '400']) {
    const i = complaints.findIndex((text) => text.includes(expected));
    assert.ok(i >= 0, `${expected} is among ${complaints}`);
    complaints.splice(i, 1);
  }

  await page.goto(`${server.address}/#/sweeps/1?metric=validation_loss`);
  await page.locator('thead', {hasText: 'validation_loss'}).waitFor();
  await page.getByRole('link', {name: 'DataGrad 1'}).click();
  await until('the list has the experiments of the arm', async () => await page.locator('tr[data-id]').count() === 3);
  await page.locator('tr[data-id] .row-link', {hasText: 'seed 2'}).click();
  await page.getByText(', seed 2', {exact: false}).first().waitFor();
  await page.getByRole('link', {name: 'sweep #1'}).click();
  await page.locator('h1', {hasText: 'Penalties'}).waitFor();

  await page.goto(`${server.address}/#/sweeps`);
  await page.locator('.sweep-item .row-link').focus();
  await api(server.address, 'POST', '/sweeps', {...SWEEP, name: 'Another', repeats: 1});
  await page.getByRole('link', {name: 'Another'}).waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute('href')), '#/sweeps/1', 'the focus stays');
  await until('it ends', async () => (await api(server.address, 'GET', '/sweeps/2')).state === 'finished');
  await api(server.address, 'DELETE', '/sweeps/2');

  // Successive halving: who was stopped has not failed.
  const {id: halving} = await api(server.address, 'POST', '/sweeps', HALVING);
  await page.goto(`${server.address}/#/sweeps/${halving}`);
  await page.locator('.badge', {hasText: 'Finished'}).waitFor();
  const {rungs} = await api(server.address, 'GET', `/sweeps/${halving}`);
  const fates = page.locator('.rung');
  await until('every rung is shown', async () => await fates.count() === rungs.length);
  assert.equal(await page.locator('.rung[data-fate="went on"]').count(), rungs.filter(({promoted}) => promoted).length);
  // Which ones went on depends on who came first.
  assert.match(await page.locator('.rung[data-fate="went on"]').first().textContent(), /^\d+\.\d\dwent on$/);
  assert.equal(await page.locator('.sweep-bad').count(), 0);
  await page.locator('.sweep-note', {hasText: /Without [1-3] stopped\./}).waitFor();
  await page.getByRole('columnheader', {name: '99.5 % interval'}).waitFor();
  await page.getByRole('columnheader', {name: 'widths/0'}).waitFor();

  // The focus stays with the buttons. Nothing is tested, and nothing says so.
  const {id: endless} = await api(server.address, 'POST', '/sweeps', ENDLESS);
  await page.goto(`${server.address}/#/sweeps/${endless}`);
  await page.locator('tr[data-arm="1"] .verdict', {hasText: 'not tested'}).waitFor();
  await page.locator('.sweep-note', {hasText: 'Nothing is tested'}).waitFor();
  assert.deepEqual(await page.getByLabel('Metric').locator('option').allTextContents(),
    ['test_loss', 'validation_loss', 'train_loss', 'elapsed_seconds', 'cpu_seconds'], 'a regression has no accuracies');
  const focused = () => page.evaluate(() => document.activeElement.textContent);
  await page.getByRole('button', {name: 'Pause'}).press('Enter');
  await until('the focus is on what is there now', async () => await focused() === 'Resume');
  await page.getByRole('button', {name: 'Cancel'}).click();
  await page.getByRole('button', {name: 'Cancel the sweep'}).press('Enter');
  await page.locator('.badge', {hasText: 'Cancelled'}).waitFor();
  await until('the focus has not gone', async () => ['Endless', 'Delete'].includes(await focused()));
  for (const id of [halving, endless]) await api(server.address, 'DELETE', `/sweeps/${id}`);

  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({colorScheme});
    for (const width of [360, 780, 1280, 2000]) {
      await page.setViewportSize({width, height: 900});
      for (const path of ['sweeps', 'sweeps/1']) {
        await page.goto(`${server.address}/#/${path}`);
        await page.locator(path === 'sweeps' ? '.sweep-item' : '.plot-mean').first().waitFor();
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(wide <= 0, `${path} is ${wide} pixels too wide at ${width}`);
      }
    }
  }
  await page.getByRole('button', {name: 'Delete'}).click();
  await page.getByRole('button', {name: 'Delete the sweep'}).click();
  await page.getByText('No sweeps yet').waitFor();
  assert.deepEqual(complaints, []);
  console.log('sweeps: passed');
} finally {
  await browser?.stop();
  await server?.stop();
  await rm(folder, {recursive: true, force: true});
}
