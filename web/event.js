// Where one event went.

import { get, post } from "./api.js";
import { h } from "./dom.js";
import { attempts, replayed } from "./deliveries.js";
import { button, empty, kindOf, link, stateBadge, time } from "./ui.js";

export const title = "Event";

export function load({ params, signal }) {
  return get(["events", params.id], {}, { signal });
}

export function render(event, context) {
  const replay = (pressed) => context.act(pressed.currentTarget,
    () => post(["replay"], { event: event.id, include_delivered: true }), replayed);
  const facts = [["Id", h("code", {}, event.id)], ["What", event.kind ? kindOf(event.kind) : "unknown"],
    ["Topic", event.topic ?? "none"], ["When", time(event.at, "unknown")]];
  return [
    h("dl", { class: "facts" }, facts.map(([name, value]) => h("div", { class: name === "Id" ? "wide" : null }, h("dt", {}, name), h("dd", { class: name === "Topic" ? "topic" : null }, value)))),
    context.can("operator") ? h("div", { class: "actions" }, button("Replay", replay)) : null,
    event.deliveries.length ? event.deliveries.map((delivery) => one(delivery, event, context)) : empty("It went nowhere, or nothing is known of it any more."),
  ];
}

function one({ webhook, state, attempts: made }, event, context) {
  const items = (made ?? []).map((attempt) => ({ event_id: event.id, kind: event.kind, topic: event.topic, webhook, ...attempt }));
  return h("section", { "data-key": webhook },
    h("h2", {}, link(["webhooks", webhook], webhook), " ", stateBadge(state)),
    items.length ? attempts(items, { ...context, can: () => false }) : h("p", { class: "quiet" }, "No attempt is kept."));
}
