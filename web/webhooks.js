// All webhooks, and above them what needs somebody: one look must tell what fails, since when, why, and what to do.

import { get, permitted, post } from "./api.js";
import { h } from "./dom.js";
import { failsLately, latency, sparkline, takesNothing, totals, waitsForLong } from "./spark.js";
import { bytes, count, duration, number } from "./text.js";
import { badge, button, choice, dialog, empty, field, filters, link, pages, problemBox, time, toast } from "./ui.js";
import { buttons, minutesOf } from "./webhook_acts.js";

export const title = "Webhooks";

/** Of so many the last failure is asked for, and looked for among so many attempts. */
const EXPLAINED = 3;
const LOOKED_AT = 50;
const HOUR = 3_600_000;

export async function load({ query, signal, summary: told }) {
  const { q, status, group, cursor } = query;
  const [webhooks, summary] = await Promise.all([get(["webhooks"], { q, status, group, cursor }, { signal }), told]);
  const rows = webhooks.items.map((webhook) => ({ ...webhook, minutes: minutesOf(summary, webhook.name) }));
  const failing = rows.filter((row) => row.status === "enabled" && health(row).level !== "ok").slice(0, EXPLAINED);
  const answers = await Promise.all(failing.map((row) => lastFailure(row, signal)));
  failing.forEach((row, at) => { row.lastFailure = answers[at]; });
  return { rows, next: webhooks.next };
}

async function lastFailure(row, signal) {
  const answer = await permitted(get(["deliveries"], { webhook: row.name, limit: LOOKED_AT }, { signal }));
  return answer?.items.find((attempt) => attempt.outcome !== "delivered");
}

const NEED = ["bad", "warn", "ok", "off"];

function byNeed(one, other) {
  return NEED.indexOf(health(one).level) - NEED.indexOf(health(other).level);
}

/** Returns how a webhook is, by its status and what happened lately. */
export function health(webhook) {
  const { status, minutes, waiting } = webhook;
  if (status === "disabled_due_to_errors") return { level: "bad", text: "Disabled after errors" };
  if (status === "disabled") return { level: "off", text: "Disabled" };
  if (takesNothing(minutes, waiting)) return { level: "bad", text: "Failing" };
  if (failsLately(minutes)) return { level: "warn", text: "Failing now and then" };
  return waitsForLong(webhook) ? { level: "warn", text: "Events wait" } : { level: "ok", text: "Enabled" };
}

export function render({ rows, next }, context) {
  return [
    overview(context.status, rows, context),
    context.can("admin") && !context.who.webhook
      ? h("div", { class: "actions" }, h("a", { class: "button main", href: "#/new-webhook" }, "New webhook"),
        button("Reload the file", (event) => reload(event.currentTarget, context))) : null,
    search(context),
    rows.length
      ? h("ul", { class: "cards" }, rows.toSorted(byNeed).map((row) => card(row, context)))
      : empty(Object.keys(context.query).length ? "No webhook is like that." : "There is no webhook yet."),
    pages(context, next),
  ];
}

async function reload(pressed, context) {
  try {
    const { added, changed, removed } = await post(["reload"]);
    const all = [["new", added], ["changed", changed], ["gone", removed]].filter(([, names]) => names?.length);
    toast(all.length ? all.map(([what, names]) => `${what}: ${names.join(", ")}`).join("; ") : "Nothing has changed");
  } catch (error) {
    await dialog("The file is not taken", problemBox(error));
  }
  await context.refresh();
  pressed.focus();
}

function search(context) {
  const { query } = context;
  const statuses = [["", "Any"], ["enabled", "Enabled"], ["disabled", "Disabled"], ["disabled_due_to_errors", "Disabled after errors"]];
  return filters(context, [
    field("Name", h("input", { type: "search", name: "q", value: query.q ?? "" })),
    field("Status", choice(statuses, query.status ?? "", { name: "status" })),
  ]);
}

function overview(status, rows, context) {
  const troubles = [...ofTheWhole(status), ...rows.toSorted(byNeed).flatMap((row) => ofWebhook(row, context))];
  return h("section", { class: "now", "aria-labelledby": "now" },
    h("h2", { id: "now", class: "hidden" }, "Now"),
    troubles.length
      ? h("ul", { class: "troubles" }, troubles)
      : h("p", { class: "well" }, badge("ok", status ? "All is well: events arrive and are delivered." : "Nothing fails.")),
    status ? figures(status) : null);
}

function ofTheWhole(status) {
  if (!status || status.ready) return [];
  const { connections = [] } = status.broker ?? {};
  const told = connections.map(({ name, detail }) => h("li", { "data-key": name }, h("strong", {}, name), ": ", detail));
  if (status.spool?.failure) told.push(h("li", {}, h("strong", {}, "spool"), ": ", status.spool.failure));
  return [trouble("bad", "Not ready", "not-ready", [h("ul", {}, told),
    h("p", {}, "Messages of QoS 1 wait at the broker meanwhile. ",
      status.spool?.failure ? "Make space, or the spool's directory writable." : "Is the broker running, and does it let mqhook in?")])];
}

function ofWebhook(row, context) {
  const { level } = health(row);
  if (level === "ok" || level === "off") return [];
  const failure = row.lastFailure;
  const because = row.status === "enabled"
    ? failure && ["Last failure: ", reason(failure), " (", time(failure.at), "). ", sinceWhen(row, context.status)]
    : [row.disabled_reason ?? "It failed for too long", ". "];
  return [trouble(level, [link(["webhooks", row.id], row.name), ` – ${health(row).text}`], row.id, [
    h("p", {}, because, waits(row), todo(row)),
    h("div", { class: "actions" }, buttons(row, context, ["enable", "test"]),
      h("a", { class: "button", href: `#/deliveries?webhook=${encodeURIComponent(row.name)}` }, "Show attempts"))])];
}

function trouble(level, heading, key, content) {
  return h("li", { class: `note ${level}`, "data-key": `trouble-${key}` },
    h("h3", {}, badge(level, ""), heading), content);
}

function reason({ status, class: error, detail }) {
  const answer = status ? `answered ${status}` : error ?? "failed";
  return detail ? `${answer}: ${detail}` : answer;
}

function todo({ status, lastFailure }) {
  if (status !== "enabled") return "Mend the receiver, then enable it.";
  const isOver = ["rejected", "given_up"].includes(lastFailure?.outcome);
  return isOver ? "It was given up: mend the receiver, then replay the dead letters." : "It is tried again by itself: mend the receiver.";
}

function sinceWhen({ minutes }, status) {
  const quiet = minutes.toReversed().findIndex((minute) => minute.delivered > 0);
  if (quiet > 1) return `Nothing was delivered for ${count(quiet, "minute")}. `;
  // The last minute has only begun.
  if (quiet >= 0) return "";
  // Minutes are not kept over a restart.
  const isYoung = Date.now() - Date.parse(status?.started_at) < HOUR;
  return isYoung ? "Nothing was delivered since mqhook was started. " : "Nothing was delivered in the last hour. ";
}

function waits({ waiting }) {
  return waiting > 0 ? `${count(waiting, "event")} ${waiting === 1 ? "waits" : "wait"}. ` : "";
}

function figures({ spool, devices, dead_letters: dead, broker }) {
  const connected = (broker?.connections ?? []).length > 0 ? broker.dialect ?? "unknown" : "none";
  const all = [
    ["Waiting", number(spool?.waiting), spool?.waiting > 0 && typeof spool.oldest_age_seconds === "number"
      ? `oldest ${duration(spool.oldest_age_seconds)}` : bytes(spool?.bytes)],
    ["Dead letters", number(dead?.total), dead?.total > 0 ? h("a", { href: "#/dead-letters" }, "look") : "none given up"],
    ...(devices ? [["Devices", number(devices.total), ""]] : []),
    ["Broker", connected, broker?.url ?? ""],
  ];
  return h("dl", { class: "figures" }, all.map(([name, value, more]) =>
    h("div", { "data-key": name }, h("dt", {}, name), h("dd", {}, h("b", {}, value), " ", h("span", { class: "quiet" }, more)))));
}

function card(row, context) {
  const { level, text } = health(row);
  const { delivered, failed } = totals(row.minutes);
  return h("li", { class: `card ${level}`, "data-key": row.id },
    h("div", { class: "head" },
      h("h2", {}, link(["webhooks", row.id], row.name)),
      badge(level, text),
      row.group ? h("span", { class: "quiet" }, `group ${row.group}`) : null,
      row.origin === "file" ? h("span", { class: "quiet" }, "from the file") : null),
    h("p", { class: "url" }, row.url),
    sparkline(row.minutes),
    h("dl", { class: "facts" },
      fact("Last hour", [number(delivered), " delivered, ", failed ? h("b", { class: "bad" }, `${number(failed)} failed`) : "none failed"]),
      fact("Latency, half / 99 %", latency(row.minutes)),
      fact("Waiting", number(row.waiting)),
      fact("Dead letters", row.dead_letters > 0
        ? h("a", { href: `#/dead-letters?webhook=${encodeURIComponent(row.name)}` }, number(row.dead_letters)) : "0"),
      fact("Last attempt", time(row.last_triggered_at, delivered + failed > 0 ? "within the hour" : "never"))),
    h("div", { class: "actions" }, buttons(row, context, ["enable", "disable", "test"])));
}

function fact(name, value) {
  return h("div", { "data-key": name }, h("dt", {}, name), h("dd", {}, value));
}
