// What the scripts share: a browser that notices what must not happen, and the way to ask for events.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";

const { MQHOOK_BROWSER: folder, PAGE: page, RECEIVER: receiver } = process.env;
const { chromium } = await import(`${folder}/node_modules/playwright-core/index.mjs`);
const axe = readFileSync(`${folder}/node_modules/axe-core/axe.min.js`, "utf8");
const screenshots = `${folder}/screenshots`;
mkdirSync(screenshots, { recursive: true });

export { assert, page, receiver };

const PATIENCE = 15_000;
/** What hostile names have, and what none of them may do. */
export const HOSTILE = '<img src=x onerror="window.hacked=1">';

const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** Has the test do something outside the page; resolves to its answer. */
export async function ask(what, more = {}) {
  process.stdout.write(`${JSON.stringify({ do: what, ...more })}\n`);
  const { value, done } = await answers.next();
  if (done) throw new Error("the test has ended");
  return JSON.parse(value);
}

export function publish(topic, payload = "21.5") {
  return ask("publish", { topic, payload });
}

export function connect(client_id, username = "alice") {
  return ask("connect", { client_id, username });
}

/** Asks the API; with a token if there is one. */
export async function api(method, path, { token, body, etag } = {}) {
  const headers = { ...(token && { authorization: `Bearer ${token}` }), ...(body && { "content-type": "application/json" }), ...(etag && { "if-match": etag }) };
  const response = await fetch(page + path, { method, headers, body: body && JSON.stringify(body) });
  const text = await response.text();
  assert.ok(response.ok, `${method} ${path}: ${response.status} ${text}`);
  return text ? JSON.parse(text) : null;
}

/** Awaits something that becomes true outside the page. */
export async function until(what, condition) {
  const end = Date.now() + PATIENCE;
  for (;;) {
    const found = await condition();
    if (found) return found;
    if (Date.now() > end) throw new Error(`expected ${what} within ${PATIENCE} ms`);
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
}

/** One of everything: what was delivered, what fails, what was rejected, devices. */
export async function fill(client_id = "boiler-7", topic = "sensors/greenhouse/1/temperature") {
  await connect(client_id);
  await publish(topic);
  await publish("orders/4711", '{"amount":3}');
  await publish("contacts/1", "{}");
  await until("a dead letter", async () => (await api("GET", "/dead-letters")).items.length > 0);
  await until("attempts", async () => (await api("GET", "/deliveries")).items.length > 3);
}

/** Runs a script with a browser, and fails it if anything was asked of others, or was against the policy. */
export async function play(script) {
  const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox", "--disable-dev-shm-usage"] });
  const wrong = [];
  try {
    await script((options) => open(browser, wrong, options));
    assert.deepEqual(wrong, [], "what the browser complains of");
  } catch (error) {
    for (const tab of browser.contexts().flatMap((context) => context.pages())) {
      console.error(`--- ${tab.url()}\n${await tab.innerText("body").catch(String)}\n---`);
    }
    throw error;
  } finally {
    await browser.close();
  }
  process.exit(0);
}

async function open(browser, wrong, { isLost, ...options } = {}) {
  const context = await browser.newContext({ reducedMotion: "reduce", viewport: { width: 1280, height: 800 }, ...options });
  await context.addInitScript(axe);
  await context.addInitScript(() => {
    window.violations = [];
    addEventListener("securitypolicyviolation", (event) => window.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
  });
  const tab = await context.newPage();
  tab.setDefaultTimeout(PATIENCE);
  tab.on("pageerror", (error) => wrong.push(`error: ${error.stack}`));
  tab.on("console", (message) => {
    // What fails to load is told by the page itself, where that is right.
    if (["error", "warning"].includes(message.type()) && !message.text().startsWith("Failed to load resource")) wrong.push(message.text());
  });
  tab.on("request", (request) => {
    if (new URL(request.url()).origin !== page) wrong.push(`asks another host: ${request.url()}`);
  });
  tab.on("response", (response) => {
    if (response.status() >= 500) wrong.push(`${response.status()} ${response.url()}`);
  });
  return tab;
}

/** Goes to a section, and waits until it is shown. */
export async function visit(tab, section) {
  await tab.goto(`${page}/#/${section}`);
  await shown(tab);
}

export async function shown(tab) {
  await tab.waitForFunction(() => document.querySelector("main h1") && !document.querySelector("main[aria-busy]"));
}

/** Asserts that nothing was run that came as a name, and nothing was against the policy. */
export async function assertHarmless(tab) {
  assert.equal(await tab.evaluate(() => window.hacked), undefined, "a name was run");
  assert.deepEqual(await tab.evaluate(() => window.violations), [], "against the policy");
}

/** Asserts what can be measured of how it looks. */
export async function assertUsable(tab, what) {
  const wide = await tab.evaluate(() => [...document.querySelectorAll("body *")]
    .filter((node) => node.checkVisibility() && node.getBoundingClientRect().right > innerWidth + 1).map((node) => node.outerHTML.slice(0, 120)));
  const scrolls = await tab.evaluate(() => document.documentElement.scrollWidth > innerWidth);
  assert.ok(!scrolls, `${what} scrolls sideways: ${wide.slice(0, 3)}`);
  const small = await tab.evaluate(() => [...document.querySelectorAll("button, .button, select, textarea, summary, nav a, input:not([type=checkbox]), .tick")]
    .filter((node) => node.checkVisibility()).map((node) => [node.outerHTML.slice(0, 120), node.getBoundingClientRect()])
    .filter(([, box]) => box.height < 43.5 || box.width < 43.5).map(([html]) => html));
  assert.deepEqual(small, [], `${what}: too small to tap`);
  const found = await tab.evaluate(async () => (await axe.run(document)).violations
    .map(({ id, impact, nodes }) => `${impact} ${id}: ${nodes[0].html.slice(0, 160)} ${nodes[0].failureSummary}`));
  assert.deepEqual(found, [], `${what}: axe`);
}

export async function photograph(tab, name) {
  await tab.screenshot({ path: `${screenshots}/${name}.png`, fullPage: true });
}
