// One webhook: how it is, its last attempts, how it is defined.

import { get, permitted } from "./api.js";
import { h } from "./dom.js";
import { attempts } from "./deliveries.js";
import { latency, sparkline, totals } from "./spark.js";
import { number } from "./text.js";
import { badge, link, time } from "./ui.js";
import { buttons, minutesOf } from "./webhook_acts.js";
import { health } from "./webhooks.js";

const ATTEMPTS = 10;

export function title({ data, params }) {
  return data?.webhook.name ?? params.id;
}

export async function load({ params, signal, summary: told }) {
  const webhook = await get(["webhooks", params.id], {}, { signal });
  const [summary, deliveries] = await Promise.all([
    told,
    permitted(get(["deliveries"], { webhook: webhook.name, limit: ATTEMPTS }, { signal })),
  ]);
  return { webhook, minutes: minutesOf(summary, webhook.name), deliveries: deliveries?.items ?? null };
}

export function render({ webhook, minutes, deliveries }, context) {
  const { level, text } = health({ ...webhook, minutes });
  return [
    h("p", { class: "bar" }, badge(level, text), " ", h("span", { class: "url" }, webhook.url)),
    webhook.disabled_reason ? h("p", { class: "note bad" }, webhook.disabled_reason) : null,
    h("div", { class: "actions" }, buttons(webhook, context, ["enable", "disable", "test", "edit", "rotate", "remove"])),
    webhook.origin === "file" ? h("p", { class: "quiet" }, "It is defined in the configuration file, and changed there.") : null,
    h("div", { class: "large" }, sparkline(minutes)),
    facts(webhook, minutes),
    deliveries ? [h("h2", {}, "Last attempts"), attempts(deliveries, context),
      h("p", {}, link(["deliveries"], "All attempts", `?webhook=${encodeURIComponent(webhook.name)}`))] : null,
    h("h2", {}, "Definition"),
    h("pre", { tabindex: "0", "aria-label": "Definition" }, JSON.stringify(webhook.definition ?? {}, null, 2)),
  ];
}

function facts(webhook, minutes) {
  const { delivered, failed } = totals(minutes);
  const dead = `?webhook=${encodeURIComponent(webhook.name)}`;
  const all = [
    ["Delivered, last hour", number(delivered)],
    ["Failed, last hour", number(failed)],
    ["Latency, half / 99 %", latency(minutes)],
    ["Waiting", number(webhook.waiting)],
    ["Dead letters", webhook.dead_letters > 0 ? link(["dead-letters"], number(webhook.dead_letters), dead) : "0"],
    ["Attempts in all", number(webhook.attempt_count)],
    ["Last attempt", time(webhook.last_triggered_at, delivered + failed > 0 ? "within the hour" : "never")],
    ["Group", webhook.group ?? "none"],
    ["Made", time(webhook.created_at, webhook.origin === "file" ? "in the file" : "unknown")],
    ["Changed", time(webhook.last_modified_at, "never")],
  ];
  return h("dl", { class: "facts" }, all.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}
