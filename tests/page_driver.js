// SPDX-License-Identifier: MPL-2.0
// page_driver.js - a browser that tests/page.py speaks to: one JSON command a line on standard input, one JSON answer a line.
// Everything that the page complains about or asks elsewhere for is collected, for the command `complaints'.
'use strict';

const readline = require('readline');
const { chromium } = require(process.argv[2]);

const ARGUMENTS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync'];

let browser, page, complaints = [];

const commands = {
  // url, width, height, javascript, scheme; answers: path -> what the page gets instead of the server's answer
  async open({ url, width = 1280, height = 900, javascript = true, scheme = 'light', answers = {} }) {
    if (page) await page.context().close();
    const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme, javaScriptEnabled: javascript });
    page = await context.newPage();
    page.setDefaultTimeout(300000); // the test has a limit of its own
    complaints = [];
    page.on('console', message => message.type() === 'error' || message.type() === 'warning' ? complaints.push('console: ' + message.text()) : null);
    page.on('pageerror', error => complaints.push('error: ' + error.stack));
    page.on('dialog', dialog => { complaints.push('dialog: ' + dialog.message()); dialog.dismiss(); });
    page.on('request', request => request.url().startsWith(new URL(url).origin + '/') ? null : complaints.push('foreign request: ' + request.url()));
    page.on('response', response => response.status() >= 400 ? complaints.push(`${response.status()} ${response.url()}`) : null);
    await page.route('**/*', route => {
      const answer = answers[new URL(route.request().url()).pathname];
      return answer === undefined ? route.continue() : route.fulfill({ contentType: 'application/json', body: JSON.stringify(answer) });
    });
    const response = await page.goto(url);
    return { status: response.status(), headers: response.headers() };
  },
  evaluate: ({ expression }) => page.evaluate(expression),
  // Not waitForFunction: it evals inside the page, whose policy forbids that.
  async wait({ expression, ms }) {
    for (const end = Date.now() + ms; !await page.evaluate(expression); await new Promise(done => setTimeout(done, 50)))
      if (Date.now() > end) throw new Error(`not within ${ms} ms: ${expression}`);
  },
  click: ({ selector }) => page.click(selector),
  fill: ({ selector, text }) => page.fill(selector, text),
  press: ({ key }) => page.keyboard.press(key),
  size: ({ width, height }) => page.setViewportSize({ width, height }),
  screenshot: async ({ path, full }) => { await page.screenshot({ path, fullPage: Boolean(full) }); },
  complaints: () => complaints,
};

async function main() {
  browser = await chromium.launch({ executablePath: process.argv[3], args: ARGUMENTS });
  for await (const line of readline.createInterface({ input: process.stdin })) {
    let answer;
    try {
      const { command, ...rest } = JSON.parse(line);
      answer = { value: await commands[command](rest) };
    } catch (error) {
      answer = { error: String(error.stack || error) };
    }
    process.stdout.write(JSON.stringify(answer) + '\n');
  }
  await browser.close();
}

main().catch(error => { process.stdout.write(JSON.stringify({ error: String(error.stack || error) }) + '\n'); process.exit(1); });
