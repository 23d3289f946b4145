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
