// The dashboard of a server that wants access tokens: it asks for one, works with the cookie, and forgets it.

import assert from 'node:assert/strict';
import {execFileSync} from 'node:child_process';
import {rm} from 'node:fs/promises';

import {openPage, startBrowser, startServer, temporaryFolder} from './harness.mjs';

const folder = await temporaryFolder();
const token = execFileSync(process.env.GRADREG_PROGRAM,
  ['token', 'create', 'browser', '--data-dir', folder], {encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore']}).trim();
const server = await startServer({folder, options: ['--require-token']});
const browser = await startBrowser();
try {
  const {page} = await openPage(browser.context);
  const violations = [];
  page.on('console', (message) => /Content.Security.Policy/i.test(message.text()) && violations.push(message.text()));
  await page.goto(server.address);
  await page.waitForSelector('#login');
  await page.fill('#token', 'gradreg_1_wrong');
  await page.press('#token', 'Enter');
  await page.waitForFunction(() => document.querySelector('.login-problem').textContent.includes('not one of this server'));
  await page.fill('#token', token);
  await page.press('#token', 'Enter');
  await page.waitForSelector('#sign-out');
  await page.waitForSelector('#connection[data-status="live"]'); // the event stream has the cookie
  assert.equal(await page.evaluate(() => document.cookie), '', 'scripts cannot read the cookie');
  const [cookie] = await browser.context.cookies();
  assert.ok(cookie.httpOnly && cookie.sameSite === 'Strict', JSON.stringify(cookie));
  assert.ok(!JSON.stringify(await page.evaluate(() => ({...localStorage, ...sessionStorage}))).includes(token));
  await page.reload();
  await page.waitForSelector('#connection[data-status="live"]'); // still known
  assert.equal(await page.locator('#login').count(), 0);
  assert.match(await page.locator('#first-curl').textContent(), /-H "Authorization: Bearer \$GRADREG_TOKEN"/);
  await page.setViewportSize({width: 360, height: 700});
  for (const path of ['', 'sweeps']) {
    await page.goto(`${server.address}/#/${path}`);
    await page.locator('main h2').first().waitFor();
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `/${path} fits 360 pixels`);
  }
  await page.click('#sign-out');
  await page.waitForSelector('#login');
  assert.deepEqual(violations, []);
  console.log('the dashboard asks for a token, keeps it from scripts, and signs out');
} finally {
  await browser.stop();
  await server.stop();
  await rm(folder, {recursive: true, force: true});
}
