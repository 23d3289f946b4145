// What the browser scripts share: a real server on a free port with a temporary data folder, and the system's
// Chromium with an empty profile.

import {execFile, spawn} from 'node:child_process';
import {mkdtemp, rm} from 'node:fs/promises';
import {createRequire} from 'node:module';
import {tmpdir} from 'node:os';
import path from 'node:path';

const {chromium} = createRequire(path.resolve(process.env.GRADREG_BROWSER_PACKAGES, 'package.json'))('playwright-core');

export const temporaryFolder = () => mkdtemp(path.join(tmpdir(), 'gradreg-browser-'));

// `listen` may name the port of a server that ran before.
export async function startServer({folder, listen = '127.0.0.1:0', workers = 1, options = []}) {
  const child = spawn(process.env.GRADREG_PROGRAM,
    ['serve', '--listen', listen, '--data-dir', folder, '--workers', String(workers),
      '--log-level', 'error', ...options],
    {stdio: ['ignore', 'pipe', 'inherit']});
  const ended = new Promise((resolve) => child.once('exit', (code, signal) => resolve(signal ?? code)));
  const address = await new Promise((resolve, reject) => {
    let text = '';
    child.stdout.on('data', (part) => {
      text += part;
      const match = /http:\/\/\S+/.exec(text);
      if (match) resolve(match[0].replace(/\/$/, ''));
    });
    child.once('error', reject);
    ended.then((how) => reject(new Error(`gradreg serve ended before it was ready (${how}): ${text}`)));
  });
  return {
    address,
    async stop() {
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), 20_000);
      const how = await ended;
      clearTimeout(timer);
      return how;
    },
  };
}

export async function api(address, method, route, body) {
  const response = await fetch(`${address}/api/v1${route}`, {method,
    ...(body === undefined ? {} : {headers: {'Content-Type': 'application/json'}, body: JSON.stringify(body)})});
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${route}: ${response.status} ${text}`);
  return text ? JSON.parse(text) : null;
}

// Runs a command line as a person would paste it.
export function shell(line) {
  return new Promise((resolve, reject) => {
    execFile('/bin/sh', ['-c', line], (error, out, errors) => error ? reject(new Error(errors || error)) : resolve(out));
  });
}

export async function startBrowser(options = {}) {
  const profile = await mkdtemp(path.join(tmpdir(), 'gradreg-profile-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.GRADREG_CHROMIUM, headless: true, ...options,
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-background-networking',
      '--disable-component-update', '--disable-sync', '--no-first-run'],
  });
  return {
    context,
    async stop() {
      await context.close();
      await rm(profile, {recursive: true, force: true});
    },
  };
}

// A page that writes down what must not happen: errors on the console and violations of the security policy.
export async function openPage(context) {
  const page = await context.newPage();
  const complaints = [];
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(`console: ${message.text()}`);
  });
  page.on('pageerror', (error) => complaints.push(`error: ${error.stack ?? error}`));
  await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) => {
      console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`);
    });
  });
  return {page, complaints};
}

// Waits until `probe()` gives something true, and gives that; fails with `what` after `seconds`.
export async function until(what, probe, seconds = 60) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const value = await probe();
    if (value) return value;
    if (Date.now() > end) throw new Error(`waited ${seconds} s in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
