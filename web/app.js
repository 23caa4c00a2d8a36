// The frame around the sections: who is here, where they are, and what is told anew how often.

import { Problem, Unreachable, get, hasToken, permitted, setToken } from "./api.js";
import { h, morphChildren } from "./dom.js";
import { badge, button, problemBox, tellTime, toast } from "./ui.js";
import { takesNothing } from "./spark.js";
import { duration } from "./text.js";
import * as deadLetters from "./dead_letters.js";
import * as deliveries from "./deliveries.js";
import * as devices from "./devices.js";
import * as event from "./event.js";
import * as events from "./events.js";
import * as group from "./group.js";
import * as groups from "./groups.js";
import * as login from "./login.js";
import * as tokens from "./tokens.js";
import * as webhook from "./webhook.js";
import * as webhookForm from "./webhook_form.js";
import * as webhooks from "./webhooks.js";

/** First that matches; a segment in braces is a parameter. */
const ROUTES = [
  ["webhooks", webhooks],
  ["new-webhook", webhookForm],
  ["webhooks/{id}", webhook],
  ["webhooks/{id}/edit", webhookForm],
  ["deliveries", deliveries],
  ["events", events],
  ["events/{id}", event],
  ["dead-letters", deadLetters],
  ["devices", devices],
  ["groups", groups],
  ["new-group", group],
  ["groups/{id}/edit", group],
  ["tokens", tokens],
];
/** Name, text, the least role, and whether a token that is limited to a group or a webhook may look. */
const SECTIONS = [
  ["webhooks", "Webhooks", "viewer", true],
  ["deliveries", "Deliveries", "viewer", true],
  ["events", "Live events", "viewer", true],
  ["dead-letters", "Dead letters", "viewer", true],
  ["devices", "Devices", "viewer", false],
  ["groups", "Groups", "viewer", true],
  ["tokens", "Tokens", "admin", false],
];
const RANKS = ["viewer", "operator", "admin"];
const EVERY = 5_000;
const LONGEST = 60_000;
const UNKNOWN = "Your token is not known here (any more)";

const main = document.getElementById("main");
let who = null;
let status = null;
let summary = null;
let context = null;
let timer = 0;
let failures = 0;
let lostSince = null;

function place() {
  const [pathname, search = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const segments = pathname.split("/").filter(Boolean).map(decode);
  const query = Object.fromEntries(new URLSearchParams(search));
  for (const [pattern, view] of ROUTES) {
    const params = match(pattern.split("/"), segments);
    if (params) return { view, params, query, segments };
  }
  return { view: webhooks, params: {}, query: {}, segments: ["webhooks"] };
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function match(pattern, segments) {
  if (pattern.length !== segments.length) return null;
  const params = {};
  for (const [at, part] of pattern.entries()) {
    if (part.startsWith("{")) params[part.slice(1, -1)] = segments[at];
    else if (part !== segments[at]) return null;
  }
  return params;
}

/** What a section gets: where it is, who looks, and how to go on. */
function newContext({ view, params, query, segments }) {
  const leaving = new AbortController();
  const base = `#/${segments.map(encodeURIComponent).join("/")}`;
  return {
    view, params, query, segments, leaving,
    signal: leaving.signal,
    state: {},
    data: undefined,
    get status() { return status; },
    get who() { return who; },
    can: (role) => RANKS.indexOf(who?.role) >= RANKS.indexOf(role),
    here: (values) => {
      const search = new URLSearchParams(Object.entries(values).filter(([, value]) => value !== "")).toString();
      return search ? `${base}?${search}` : base;
    },
    go: (hash) => { if (location.hash === hash) refresh(); else location.hash = hash; },
    refresh,
    render,
    act,
    session: { begin, end },
  };
}

async function enter() {
  context?.leaving.abort();
  context = newContext(who ? place() : { view: login, params: {}, query: {}, segments: ["login"] });
  const entered = context;
  closeMenu();
  showFrame();
  if (who) main.setAttribute("aria-busy", "true");
  await refresh();
  if (context !== entered) return;
  main.removeAttribute("aria-busy");
  scrollTo(0, 0);
  (main.querySelector("[data-first]") ?? main.querySelector("h1") ?? main).focus({ preventScroll: true });
}

/** Asks for everything again, and shows it. */
async function refresh() {
  clearTimeout(timer);
  const asked = context;
  const turn = (asked.turn = (asked.turn ?? 0) + 1);
  const isOver = () => context !== asked || asked.turn !== turn;
  try {
    const frame = who ? wellbeing() : null;
    asked.summary = frame?.then((told) => told.summary, () => null);
    const [told, data] = await Promise.all([frame, asked.view.load?.(asked)]);
    if (isOver()) return;
    if (told) ({ status, summary } = told);
    asked.data = data;
    asked.problem = null;
    found();
  } catch (error) {
    if (isOver() || error.name === "AbortError") return;
    if (isUnknown(error)) return end(UNKNOWN);
    if (error instanceof Problem) asked.problem = error;
    else if (error instanceof Unreachable) lose();
    else throw error;
  }
  render();
  schedule();
}

/** What every section shows, as far as a token may see it. */
async function wellbeing() {
  const [told, minutes] = await Promise.all([permitted(get(["status"])), permitted(get(["metrics", "summary"]))]);
  return { status: told, summary: minutes };
}

function schedule() {
  clearTimeout(timer);
  if (document.hidden || !who) return;
  const pause = failures > 0 ? Math.min(LONGEST, 1000 * 2 ** Math.min(failures, 6)) : EVERY;
  timer = setTimeout(() => { if (context.view.isStill && failures === 0) refreshStatus(); else refresh(); }, pause);
}

/** A form is left alone while somebody fills it in. */
async function refreshStatus() {
  try {
    ({ status, summary } = await wellbeing());
    found();
  } catch (error) {
    if (isUnknown(error)) return end(UNKNOWN);
    if (error instanceof Unreachable) lose();
    else if (!(error instanceof Problem)) throw error;
  }
  showHealth();
  schedule();
}

function render() {
  const { view, data, problem } = context;
  const page = h("main");
  const title = typeof view.title === "function" ? view.title(context) : view.title;
  const isShown = data !== undefined || !view.load;
  page.append(h("h1", { tabindex: "-1" }, title));
  if (problem) page.append(problemBox(problem));
  if (isShown) page.append(...[view.render(data, context)].flat(Infinity).filter(Boolean));
  else if (!problem) page.append(h("p", { class: "quiet" }, lostSince ? "Waiting for mqhook …" : "Loading …"));
  const focused = main.contains(document.activeElement) && document.activeElement !== main;
  if (main.dataset.at === location.hash + Boolean(who)) morphChildren(main, page);
  else main.replaceChildren(...page.childNodes);
  main.dataset.at = location.hash + Boolean(who);
  if (focused && document.activeElement === document.body) main.querySelector("h1").focus({ preventScroll: true });
  showHealth();
  document.title = `${status && !isWell() ? "(!) " : ""}${title} – mqhook`;
}

/** Does something that a button asks for; says what came of it, and shows what is new. */
async function act(button, deed, done) {
  if (button?.getAttribute("aria-disabled") === "true") return undefined;
  button?.setAttribute("aria-disabled", "true");
  try {
    const answer = await deed();
    const text = typeof done === "function" ? done(answer) : done;
    if (text) toast(text);
    await refresh();
    return answer ?? true;
  } catch (error) {
    if (isUnknown(error)) end(UNKNOWN);
    else toast(said(error), "bad");
    return undefined;
  } finally {
    button?.removeAttribute("aria-disabled");
  }
}

/** Returns in a line what is wrong, key by key where that is known. */
function said({ title, message, errors = [] }) {
  const details = errors.map(({ detail }) => detail).filter(Boolean).join("; ");
  return [title, details || message].filter(Boolean).join(": ");
}

function isUnknown(error) {
  return error instanceof Problem && error.status === 401;
}

async function begin() {
  const known = await get(["whoami"]);
  if (known.role === "publisher") return end("This token may publish events, and see nothing");
  who = known;
  status = null;
  if (location.hash.startsWith("#/login") || location.hash === "") history.replaceState(null, "", "#/webhooks");
  await enter();
}

function end(reason) {
  setToken(null);
  who = null;
  status = null;
  context?.leaving.abort();
  login.say(typeof reason === "string" ? reason : "");
  return enter();
}

function showFrame() {
  const [section] = context.segments;
  const mine = { "new-webhook": "webhooks", "new-group": "groups" }[section] ?? section;
  const may = SECTIONS.filter(([, , role, limited]) => context.can(role) && (limited || !isLimited()));
  const links = may.map(([name, text]) => h("a", { href: `#/${name}`, "aria-current": mine === name ? "page" : null }, text));
  const nav = h("nav", {}, links);
  morphChildren(document.getElementById("sections"), nav);
  document.getElementById("menu").hidden = !who;
  const name = who && h("span", { class: "quiet" }, `${who.name ?? "loopback"} (${who.role})`);
  const leave = who && hasToken() ? button("Log out", () => end("You are logged out"), { class: "plain" }) : null;
  document.getElementById("who").replaceChildren(...[name, leave].filter(Boolean));
}

function isLimited() {
  return Boolean(who?.group || who?.webhook);
}

function isWell() {
  return status.ready && !isFailing();
}

/** Returns whether a webhook was disabled after errors, or takes nothing just now. */
function isFailing() {
  return status.webhooks?.failing > 0 || summary?.webhooks.some(({ minutes }) => takesNothing(minutes, status.spool?.waiting));
}

function showHealth() {
  const health = document.getElementById("health");
  const shown = h("p", {}, lostSince ? badge("bad", "No connection") : status ? verdict() : null);
  morphChildren(health, shown);
}

function verdict() {
  if (!status.ready) return badge("bad", "Not ready");
  return isFailing() ? badge("warn", "Webhooks fail") : badge("ok", "Ready");
}

function lose() {
  failures += 1;
  lostSince ??= Date.now();
  const since = h("time", { datetime: new Date(lostSince).toISOString() }, duration((Date.now() - lostSince) / 1000));
  const banner = h("div", {}, h("div", { class: "lost" },
    h("p", {}, h("strong", {}, "mqhook does not answer"), " for ", since, ". What is shown is as old. Trying again by itself. ",
      "Is it running? ", h("code", {}, "systemctl status mqhook")),
    button("Try now", () => (who ? refresh() : start()))));
  morphChildren(document.getElementById("lost"), banner);
}

function found() {
  failures = 0;
  if (lostSince === null) return;
  lostSince = null;
  document.getElementById("lost").replaceChildren();
  toast("Connected again");
}

function closeMenu() {
  document.getElementById("menu").setAttribute("aria-expanded", "false");
}

function setUp() {
  const theme = document.getElementById("theme");
  theme.value = document.documentElement.dataset.theme ?? "auto";
  theme.onchange = () => {
    if (theme.value === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme.value;
    try {
      localStorage.setItem("mqhook-theme", theme.value);
    } catch {
      // It lasts as long as the page.
    }
  };
  const menu = document.getElementById("menu");
  menu.onclick = () => menu.setAttribute("aria-expanded", String(menu.getAttribute("aria-expanded") !== "true"));
  document.querySelector(".skip").onclick = (event) => {
    event.preventDefault();
    main.focus();
  };
  addEventListener("hashchange", enter);
  document.addEventListener("visibilitychange", () => { if (document.hidden) clearTimeout(timer); else if (who) refresh(); });
  setInterval(tellTime, 10_000);
}

async function start() {
  clearTimeout(timer);
  try {
    await begin();
  } catch (error) {
    if (isUnknown(error)) return end(hasToken() ? UNKNOWN : "");
    context ??= newContext(place());
    if (error instanceof Unreachable) lose();
    else if (error instanceof Problem) context.problem = error;
    else throw error;
    render();
    failures = Math.max(failures, 1);
    timer = setTimeout(start, Math.min(LONGEST, 1000 * 2 ** Math.min(failures, 6)));
  }
}

setUp();
start();
