// The delivery log: every attempt, newest first.

import { get, post } from "./api.js";
import { h } from "./dom.js";
import { KIND_NAMES, count, kind, milliseconds } from "./text.js";
import { button, choice, empty, field, filters, kindOf, link, pages, stateBadge, table, time } from "./ui.js";

export const title = "Deliveries";

const OUTCOMES = [["", "Any"], ["delivered", "Delivered"], ["retry", "Retry"], ["rejected", "Rejected"], ["given_up", "Given up"]];
const SINCE = [["", "Any time"], ["10", "Last 10 minutes"], ["60", "Last hour"], ["1440", "Last day"]];

export function load({ query, signal }) {
  const { minutes, ...rest } = query;
  const since = minutes ? new Date(Date.now() - Number(minutes) * 60_000).toISOString() : "";
  return get(["deliveries"], { ...rest, since }, { signal });
}

export function render({ items, next }, context) {
  return [
    search(context),
    items.length ? attempts(items, context) : empty(Object.keys(context.query).length ? "No attempt is like that." : "Nothing was attempted yet."),
    pages(context, next),
  ];
}

function search(context) {
  const { query } = context;
  const kinds = [["", "Any"], ...KIND_NAMES.map((name) => [name, kind(name)])];
  return filters(context, [
    field("Webhook", h("input", { type: "search", name: "webhook", value: query.webhook ?? "" })),
    field("Outcome", choice(OUTCOMES, query.outcome ?? "", { name: "outcome" })),
    field("Kind", choice(kinds, query.kind ?? "", { name: "kind" })),
    field("Topic", h("input", { type: "search", name: "topic", value: query.topic ?? "", placeholder: "sensors/#" })),
    field("Event id", h("input", { type: "search", name: "event", value: query.event ?? "" })),
    field("When", choice(SINCE, query.minutes ?? "", { name: "minutes" })),
  ]);
}

/** A table of attempts, each with a button that sends its event again. */
export function attempts(items, context) {
  const columns = [
    { title: "When", cell: (item) => time(item.at) },
    { title: "Webhook", cell: (item) => link(["webhooks", item.webhook], item.webhook) },
    { title: "Event", head: true, cell: what },
    { title: "Attempt", cell: (item) => String(item.attempt) },
    { title: "Latency", cell: (item) => milliseconds(item.latency_ms) },
    { title: "Outcome", cell: outcome, wide: true },
  ];
  if (context.can("operator")) columns.push({ title: "Replay", act: true, cell: (item) => replay(item, context) });
  return table("Attempts", columns, items, (item) => item.id);
}

function what(item) {
  return [
    h("a", { href: `#/events/${encodeURIComponent(item.event_id)}` }, kindOf(item.kind)),
    item.topic ? h("div", { class: "topic" }, item.topic) : null,
  ];
}

function outcome(item) {
  return [
    stateBadge(item.outcome), " ", item.status ?? item.class ?? "",
    item.detail ? h("div", { class: "quiet" }, item.detail) : null,
    item.left_out > 0 ? h("div", { class: "quiet" }, `and ${count(item.left_out, "attempt")} like it`) : null,
    item.response ? h("details", {}, h("summary", {}, "Answer"), h("pre", {}, item.response)) : null,
  ];
}

function replay(item, context) {
  const send = (event) => context.act(event.currentTarget,
    () => post(["replay"], { event: item.event_id, include_delivered: item.outcome === "delivered" }), replayed);
  return button("Replay", send, { "aria-label": `Replay the event ${item.event_id}` });
}

/** Says how many were sent again. */
export function replayed({ count: some }) {
  if (some === 0) return "Nothing to replay: it still waits, or is not kept";
  return some === 1 ? "One delivery is sent again" : `${count(some, "delivery", "deliveries")} are sent again`;
}
