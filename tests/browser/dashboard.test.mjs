// The dashboard in a browser, against a real server that trains on the generated digits: from an empty list over a
// live curve to a final accuracy, narrow and wide, light and dark.

import assert from 'node:assert/strict';
import {rm} from 'node:fs/promises';

import {api, openPage, shell, startBrowser, startServer, temporaryFolder, until} from './harness.mjs';

const SECONDS = 240; // for one small training, with sanitizers

const folder = await temporaryFolder();
let server, browser, page, complaints;
let passed = 0;

async function step(name, work) {
  const begun = Date.now();
  try {
    await work();
    assert.deepEqual(complaints ?? [], [], 'the browser complained');
  } catch (error) {
    console.log(`not ok - ${name}`);
    throw error;
  }
  passed += 1;
  console.log(`ok - ${name} (${((Date.now() - begun) / 1000).toFixed(1)} s)`);
}

const text = (selector) => page.locator(selector).first().textContent();
const state = () => page.locator('.overline .badge').getAttribute('data-state');
const points = async () => {
  const counts = await page.locator('.chart').evaluateAll((nodes) => nodes.map((node) => Number(node.dataset.points)));
  return counts.reduce((sum, each) => sum + each, 0);
};
const overflow = () => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

async function fitsEverywhere(where) {
  const grounds = new Set();
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({colorScheme});
    for (const width of [360, 900, 1600, 2000]) {
      await page.setViewportSize({width, height: 900});
      await page.waitForTimeout(120); // charts follow a resize with the next frame
      assert.ok(await overflow() <= 0, `${where} is wider than ${width} px`);
      for (const place of await page.locator('.chart:visible .chart-place').all()) {
        const [inside, drawn] = await place.evaluate((node) =>
          [node.clientWidth, node.querySelector('canvas').getBoundingClientRect().width]);
        assert.ok(Math.abs(inside - drawn) <= 1, `a chart of ${drawn} px in ${inside} px at ${width} px`);
      }
    }
    grounds.add(await page.evaluate(() => getComputedStyle(document.body).backgroundColor));
  }
  assert.equal(grounds.size, 2, 'light and dark differ');
  await page.emulateMedia({colorScheme: 'light'});
  await page.setViewportSize({width: 1600, height: 900});
}

// The first experiment again, but as long as it takes: how fast the machine is must not matter.
async function endless(training = {}) {
  const {spec} = await api(server.address, 'GET', '/experiments/1');
  return api(server.address, 'POST', '/experiments', {...spec, training: {...spec.training, iterations: 1e8, ...training}});
}

const focused = () => page.evaluate(() => document.activeElement.ariaLabel ?? document.activeElement.textContent);
// Chromium itself reports what the server has refused on the console.
const forgive = (status) => complaints.splice(0, complaints.length, ...complaints.filter((each) => !each.includes(status)));

async function remove(id) {
  await api(server.address, 'POST', `/experiments/${id}/cancel`).catch(() => {}); // it may have ended by itself
  const ended = async () => ['succeeded', 'cancelled'].includes((await api(server.address, 'GET', `/experiments/${id}`)).state);
  await until(`${id} has ended`, ended, 20);
  await api(server.address, 'DELETE', `/experiments/${id}`);
}

async function confirmDialog(button) {
  await page.getByRole('dialog').getByRole('button', {name: button}).click();
}

try {
  server = await startServer({folder});
  browser = await startBrowser({viewport: {width: 1600, height: 900}});
  ({page, complaints} = await openPage(browser.context));
  const {address} = server;

  await step('an empty server shows the command for a first experiment, which works as it stands', async () => {
    await page.goto(`${address}/`);
    await page.getByText('No experiments yet').waitFor();
    await until('the stream is live', async () => await text('#connection-text') === 'Live');
    const command = await text('#first-curl');
    assert.ok(command.startsWith(`curl ${address}/api/v1/experiments`), command);
    await fitsEverywhere('the empty list');
    const answer = JSON.parse(await shell(`${command} --silent --show-error --fail-with-body`));
    assert.equal(answer.id, 1);
  });

  await step('the new experiment appears by itself', async () => {
    await page.locator('tr[data-id="1"] .badge').waitFor({timeout: 10_000});
    assert.equal(await page.getByText('No experiments yet').count(), 0);
    await page.locator('tr[data-id="1"] a').click();
    await page.locator('.chart').first().waitFor();
  });

  await step('the curve moves while it trains', async () => {
    const long = await endless();
    await page.goto(`${address}/#/experiments/${long.id}`);
    const chart = page.locator('.chart:visible .chart-place').first();
    await until('a first point', async () => await points() > 0, SECONDS);
    const before = {points: await points(), picture: await chart.screenshot()};
    await until('more points', async () => await points() > before.points + 4, SECONDS);
    await until('the picture of the curve has changed', async () => !before.picture.equals(await chart.screenshot()), SECONDS);
    assert.equal(await state(), 'running');
    await remove(long.id);
    await page.goto(`${address}/#/experiments/1`);
  });

  await step('it succeeds and its accuracy appears', async () => {
    await until('the state is succeeded', async () => await state() === 'succeeded', SECONDS);
    const experiment = await api(address, 'GET', '/experiments/1');
    const accuracy = experiment.metrics.test_accuracy;
    assert.ok(accuracy > 0.5 && accuracy <= 1, `test accuracy ${accuracy}`);
    const shown = `${(accuracy * 100).toFixed(2)}\u00a0%`;
    await until('the test accuracy', async () => await text('.figure-large dd') === shown, 10);
    assert.equal(await page.locator('.progress').getAttribute('aria-valuenow'), '100');
  });

  await step('what was measured of a model stands on its page, as the API has it', async () => {
    const {spec} = await api(address, 'GET', '/experiments/1');
    const analysis = {gradient_norms: {samples: 100}, robustness: {attack: 'fgsm', epsilons: [0.1], samples: 50}, calibration: true,
      transitions: {paths: 2, points: 60}, lipschitz: true, input_gradients: {count: 2}};
    const {id} = await api(address, 'POST', '/experiments',
      {...spec, analysis, training: {...spec.training, iterations: 60, evaluate_every: 60}});
    await page.goto(`${address}/#/experiments/${id}`);
    const section = page.getByRole('region', {name: 'Analysis'});
    await section.getByText('Input gradients of test images').waitFor({timeout: SECONDS * 1000});
    const measured = await api(address, 'GET', `/experiments/${id}/analysis`);
    assert.deepEqual(await section.locator(':scope > h3').allTextContents(), ['Gradient norms, at the training points and beyond',
      'Robustness, calibration, sensitivity', 'Input gradients of test images']);
    const shown = await section.textContent();
    const percent = (value) => `${(value * 100).toFixed(2)}\u00a0%`;
    for (const part of [`Calibration error ${percent(measured.calibration.ece)}`,
      `50 test samples, ${percent(measured.robustness.clean_accuracy)} of them right`]) {
      assert.ok(shown.includes(part), `there is no "${part}": ${shown}`);
    }
    const units = await section.locator('[title$=" units"]').getAttribute('title');
    assert.equal(Number(units.replace(/\D/g, '')), measured.transitions.units);
    const counts = await section.locator('.measures tbody tr td:nth-child(2)').allTextContents();
    assert.deepEqual(counts.map((each) => Number(each.replace(/\D/g, ''))),
      ['train', 'test', 'noise', 'segments', 'uniform'].map((set) => measured.gradient_norms.logits.points[set].n));
    const drawn = await section.locator('.gradient-pictures canvas').evaluateAll((canvases) => canvases.map((canvas) =>
      new Set(canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data).size));
    assert.equal(drawn.length, 4, 'two images and their gradients');
    assert.ok(drawn.every((levels) => levels > 4), `pictures have so many levels: ${drawn}`);
    await fitsEverywhere('the analysis');
    await api(address, 'DELETE', `/experiments/${id}`);
    await page.goto(`${address}/#/experiments/1`);
    await until('the first one again', async () => await points() > 0);
  });

  await step('the page has every point that the API has, and the same after a reload', async () => {
    const {series} = await api(address, 'GET', '/experiments/1/metrics');
    const stored = Object.values(series).reduce((sum, each) => sum + each.length, 0);
    assert.ok(stored > 100, `${stored} points stored`);
    assert.equal(await points(), stored);
    await page.reload();
    await until('the points are back', async () => await points() === stored, 10);
  });

  await step('one experiment fits 400 to 2000 px, light and dark', () => fitsEverywhere('the page of an experiment'));

  await step('a logarithmic scale can be chosen with the keyboard, and redraws', async () => {
    const toggle = page.locator('.chart').nth(1).getByRole('button', {name: 'log scale'});
    const place = page.locator('.chart').nth(1).locator('.chart-place');
    const before = await place.screenshot();
    await toggle.focus();
    await page.keyboard.press('Enter');
    assert.equal(await toggle.getAttribute('aria-pressed'), 'true');
    await page.waitForTimeout(100);
    assert.ok(!before.equals(await place.screenshot()));
    await page.keyboard.press('Enter');
  });

  await step('the values at the cursor say at which iteration, and the table of values begins with the losses', async () => {
    await page.locator('.chart .u-over').first().hover();
    assert.match(await text('.chart-at'), /^iteration\u00a01,?\d+$/);
    await page.mouse.move(0, 0);
    assert.equal(await text('.chart-at'), '');
    await page.getByText('Values as a table').click();
    await page.locator('.values tbody tr').first().waitFor(); // it is drawn after it has opened
    const headings = await page.locator('.values thead th').allTextContents();
    assert.deepEqual(headings.slice(0, 4), ['Iteration', 'train_loss', 'validation_loss', 'test_loss']);
    assert.equal(await page.locator('.values tbody tr').count(), 40);
    await page.getByText('Values as a table').click();
  });

  await step('the model can be downloaded', async () => {
    const link = page.getByRole('link', {name: 'Download model'});
    const response = await fetch(new URL(await link.getAttribute('href'), address));
    assert.equal(response.status, 200);
    const bytes = new Uint8Array(await response.arrayBuffer());
    const header = Number(new DataView(bytes.buffer).getBigUint64(0, true));
    JSON.parse(new TextDecoder().decode(bytes.slice(8, 8 + header)));
  });

  await step('its predictions can be downloaded: one line for each test sample', async () => {
    const link = page.getByRole('link', {name: 'Predictions'});
    const response = await fetch(new URL(await link.getAttribute('href'), address));
    assert.equal(response.status, 200);
    const lines = (await response.text()).trimEnd().split('\n');
    assert.match(lines[0], /^index,label,predicted,correct,/);
    assert.equal(lines.length, 10001);
  });

  await step('the command shown makes the same experiment again; it can be cancelled and deleted', async () => {
    const command = await text('#curl-line');
    const first = await api(address, 'GET', '/experiments/1');
    const second = JSON.parse(await shell(`${command} --silent --show-error --fail-with-body`));
    assert.deepEqual(second.spec, first.spec);
    await remove(second.id);
    const {id} = await endless();
    await page.goto(`${address}/#/`);
    const row = page.locator(`tr[data-id="${id}"]`);
    const validation = row.locator('.column-validation');
    await until('a first accuracy', async () => (await validation.textContent()).endsWith('%'), SECONDS);
    const before = await validation.textContent();
    await until('the accuracy follows the training', async () => await validation.textContent() !== before, SECONDS);
    await row.getByRole('button', {name: /^Cancel/}).click();
    await confirmDialog('Keep it');
    assert.notEqual((await api(address, 'GET', `/experiments/${id}`)).state, 'cancelled');
    // The answer is kept back until the event that tells of the end has come: the later is not the newer.
    await page.route('**/cancel', async (route) => {
      const response = await route.fetch();
      const ended = async () => (await api(address, 'GET', `/experiments/${id}`)).state === 'cancelled';
      await until('the server has cancelled it', ended, 20);
      await page.waitForTimeout(300);
      await route.fulfill({response});
    });
    const answered = page.waitForResponse('**/cancel');
    await row.getByRole('button', {name: /^Cancel/}).click();
    await confirmDialog('Cancel the experiment');
    await answered;
    await page.unroute('**/cancel');
    await until('it is cancelled', async () => await row.locator('.badge').getAttribute('data-state') === 'cancelled', 20);
    await row.getByRole('button', {name: /^Delete/}).click();
    await confirmDialog('Delete the experiment');
    await row.waitFor({state: 'detached', timeout: 10_000});
  });

  await step('an experiment can be paused, resumed, cloned, replayed', async () => {
    const first = await api(address, 'GET', '/experiments/1');
    const long = await endless();
    await page.goto(`${address}/#/experiments/${long.id}`);
    await until('it runs', async () => await state() === 'running', SECONDS);
    await page.getByRole('button', {name: /^Pause/}).click();
    await until('it is paused', async () => await state() === 'paused', 20);
    await fitsEverywhere('the page of a paused experiment');
    await page.getByRole('button', {name: /^Resume/}).click();
    await until('it goes on', async () => await state() === 'running', 20);
    await page.getByRole('button', {name: /^Clone/}).click();
    const patch = page.getByLabel('Changes, as a JSON merge patch');
    assert.equal(await patch.inputValue(), JSON.stringify({seed: first.spec.seed + 1}, null, 2));
    await patch.fill('{"seed": -1}');
    await page.getByRole('button', {name: 'Submit the clone'}).click();
    await page.getByText('/seed: ').waitFor();
    forgive('422');
    await patch.fill('{"seed": 5, "training": {"iterations": 20}}');
    await page.getByRole('button', {name: 'Submit the clone'}).click();
    await page.getByText(`A clone of #${long.id}.`).waitFor();
    await api(address, 'POST', `/experiments/${long.id}/cancel`);
    await until('the clone succeeds', async () => await state() === 'succeeded', SECONDS);
    await page.getByRole('button', {name: /^Replay/}).click();
    await page.getByText('identical, bit for bit').waitFor({timeout: SECONDS * 1000});
    const log = await (await fetch(new URL(await page.getByRole('link', {name: 'Log'}).getAttribute('href'), address))).text();
    assert.match(log, /submitted as a replay of experiment/);
    for (const id of [long.id, long.id + 1, long.id + 2]) await remove(id);
    await page.goto(`${address}/#/`);
  });

  await step('a retry without a checkpoint begins anew on the page, too, and leaves the focus where it went on', async () => {
    const {id} = await endless({checkpoint_every: 1e8});
    await page.goto(`${address}/#/experiments/${id}`);
    await until('some points', async () => await points() > 0, SECONDS);
    await api(address, 'POST', `/experiments/${id}/cancel`);
    await until('it is cancelled', async () => await state() === 'cancelled', 20);
    assert.ok(await points() > 0, 'what it came to stays');
    const other = await endless(); // takes the only worker
    await until('the other one runs', async () => (await api(address, 'GET', `/experiments/${other.id}`)).state === 'running', 20);
    await page.getByRole('button', {name: /^Retry/}).focus();
    await page.keyboard.press('Enter');
    await until('it waits', async () => await state() === 'queued', 20);
    await until('nothing of the first attempt is left', async () => await points() === 0, 10);
    assert.equal(await text('.figures .figure:nth-child(2) dd'), '–');
    assert.match(await focused(), /^Pause experiment/);
    await remove(other.id);
    await until('points of the second attempt', async () => await points() > 0, SECONDS);

    await api(address, 'PATCH', `/experiments/${id}`, {tags: {kind: 'second attempt'}, notes: 'What came of it'});
    await page.locator('.tags').getByText('second attempt').waitFor();
    await page.getByText('What came of it').waitFor();
    await remove(id);
    await page.getByText('It has just been deleted').waitFor();
    assert.equal(await focused(), `There is no experiment ${id}`);
    await api(address, 'POST', `/experiments/${id}/undelete`);
    await until('it is back with its points', async () => await points() > 0, 20);
    await remove(id);
    await page.goto(`${address}/#/`);
  });

  await step('the list filters by state and by text', async () => {
    await page.getByLabel('Failed', {exact: true}).check({force: true});
    await page.getByText('No experiment is failed.').waitFor();
    await page.getByLabel('Succeeded', {exact: true}).check({force: true});
    await page.locator('tr[data-id="1"]').waitFor();
    await page.getByRole('searchbox').fill('no such thing');
    await page.getByText('matches “no such thing”').waitFor();
    await page.getByRole('searchbox').fill('digits lenet');
    await page.locator('tr[data-id="1"]').waitFor();
    await fitsEverywhere('the list');
  });

  await step('the list filters in the server\'s language, sorts by a column, and can be taken as a file', async () => {
    const filter = page.getByRole('textbox', {name: 'Filter'});
    await filter.fill('metrics.test_acuracy > 0.5');
    await filter.press('Enter');
    await page.getByText('Column 9: there is no metric').waitFor();
    assert.equal(await text('.filter-echo mark'), 'test_acuracy');
    assert.equal(await page.locator('tr[data-id]').count(), 0);
    await fitsEverywhere('the list with a wrong filter');
    forgive('400');
    await filter.focus();
    await page.keyboard.press('End');
    const asked = [];
    page.on('request', (request) => asked.push(request.url()));
    for (const word of [' AND', ' id', ' >', ' 0']) {
      await api(address, 'PATCH', '/experiments/1', {notes: `an event while somebody types${word}`});
      await page.keyboard.type(word);
      await page.waitForTimeout(450); // longer, all together, than the list waits before it asks again
      assert.equal(await page.locator('.empty').count(), 0);
    }
    assert.equal(await filter.inputValue(), 'metrics.test_acuracy > 0.5 AND id > 0');
    assert.deepEqual(asked, [], 'a filter that is known to be wrong is not tried again');
    await filter.fill('metrics.test_accuracy > 0.5');
    await filter.press('Enter');
    await page.locator('tr[data-id="1"]').waitFor();
    assert.equal(await page.locator('.filter-problem:visible').count(), 0);
    await page.getByRole('button', {name: 'Test', exact: true}).click();
    await page.locator('th[aria-sort="descending"]').waitFor();
    assert.match(page.url(), /filter=metrics.test_accuracy.*sort=-metrics.test_accuracy/);
    for (const [name, first] of [['CSV', /^id,name,state,/], ['JSON Lines', /^\{"id":1,/]]) {
      const link = page.getByRole('link', {name: `Download the list as ${name}`});
      const response = await fetch(new URL(await link.getAttribute('href'), address));
      assert.match(await response.text(), first);
    }
    await filter.fill('metrics.test_accuracy > 2');
    await filter.press('Enter');
    await page.getByText('The filter holds for no experiment.').waitFor();
    await page.getByRole('button', {name: 'Show all experiments'}).click();
    await page.locator('tr[data-id="1"]').waitFor();
  });

  await step('the list follows its address, and is found again as it was left', async () => {
    await page.addInitScript(() => { // the page may learn a while later that its address has changed
      addEventListener('hashchange', (event) => {
        if (!window.slow) return;
        window.slow = false;
        event.stopImmediatePropagation();
        setTimeout(() => dispatchEvent(new Event('hashchange')), 300);
      });
    });
    await page.reload();
    await page.goto(`${address}/#/?state=failed`);
    await page.getByText('No experiment is failed.').waitFor();
    await page.goto(`${address}/#/?state=succeeded`); // no new document
    await page.locator('tr[data-id="1"] .row-link').click();
    await page.locator('.figure-large dd').waitFor();
    await page.evaluate(() => scrollTo(0, 200));
    await until('the place is kept', () => page.evaluate(() => history.state?.top === 200));
    await page.getByRole('link', {name: '← Experiments'}).evaluate((link) => link.click()); // a real one would scroll
    await page.locator('tr[data-id="1"]').waitFor();
    assert.match(page.url(), /#\/\?state=succeeded$/);
    await page.evaluate(() => {
      window.slow = true;
      dispatchEvent(new Event('scroll')); // whose place is not kept yet
      history.back();
    });
    await page.locator('.figure-large dd').waitFor();
    await until('Back leads to where it was left', () => page.evaluate(() => scrollY === 200));
    await page.goto(`${address}/#/?state=failed`);
    await page.getByText('No experiment is failed.').waitFor();
    await page.getByRole('link', {name: 'Experiments', exact: true}).click();
    await page.locator('tr[data-id="1"]').waitFor();
    assert.match(page.url(), /#\/$/);
  });

  await step('an order from the address is named, and can be undone where it is wrong', async () => {
    await page.goto(`${address}/#/?sort=-id`);
    await page.getByRole('table', {name: 'Experiments, by -id'}).waitFor();
    assert.equal(await page.getByLabel('Sort by').inputValue(), '-id');
    await page.goto(`${address}/#/?sort=-metrics.test_acc`);
    await page.getByText('The order, column 10: there is no metric').waitFor();
    forgive('400');
    assert.equal(await page.getByRole('textbox', {name: 'Filter'}).getAttribute('aria-invalid'), null);
    await page.getByLabel('Sort by').selectOption('Newest first');
    await page.getByRole('table', {name: 'Experiments, newest first'}).waitFor();
    await page.setViewportSize({width: 360, height: 900});
    assert.equal(await page.locator('thead button:visible').count(), 0, 'headings that are cut off take no focus');
    await page.setViewportSize({width: 1600, height: 900});
  });

  await step('a page that does not exist is said not to, and is none of the others', async () => {
    await page.goto(`${address}/#/sweeps`);
    await page.locator('nav [aria-current]').waitFor();
    await page.goto(`${address}/#/nothing`);
    await page.getByText('There is no such page').waitFor();
    assert.equal(await page.locator('nav [aria-current]').count(), 0);
    assert.equal(await page.evaluate(() => document.activeElement.id), 'main');
  });

  await step('an experiment that does not exist is said not to', async () => {
    await page.goto(`${address}/#/experiments/999`);
    await page.getByText('There is no experiment 999').waitFor();
    forgive('404');
  });

  await step('a lost connection is shown, and recovers', async () => {
    await page.goto(`${address}/#/`);
    await page.locator('tr[data-id="1"]').waitFor();
    assert.equal(await server.stop(), 0, 'the exit status of a server that was asked to stop');
    await page.locator('#lost-banner').waitFor({state: 'visible', timeout: 10_000});
    await page.getByLabel('Failed', {exact: true}).check({force: true});
    await page.getByText('The server cannot be reached').waitFor();
    assert.equal(await page.locator('table:visible, .list-foot button:visible').count(), 0);
    assert.equal(await text('.list-total'), '');
    server = await startServer({folder, listen: new URL(address).host});
    await page.locator('#lost-banner').waitFor({state: 'hidden', timeout: 30_000});
    assert.equal(await text('#connection-text'), 'Live');
    await page.getByText('No experiment is failed.').waitFor();
    complaints.splice(0, complaints.length, ...complaints.filter((each) => !/ERR_|Failed to load/.test(each)));
  });
  console.log(`${passed} passed, 0 failed`);
} catch (error) {
  console.error(error);
  if (complaints?.length) console.error('The browser said:', complaints);
  console.log(`${passed} passed, 1 failed`);
  process.exitCode = 1;
} finally {
  await browser?.stop();
  await server?.stop();
  await rm(folder, {recursive: true, force: true});
}
