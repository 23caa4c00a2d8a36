// Deliveries that were given up.

import { get, post } from "./api.js";
import { h } from "./dom.js";
import { replayed } from "./deliveries.js";
import { count } from "./text.js";
import { button, confirm, dialog, empty, field, filters, kindOf, link, pages, problemBox, table, time } from "./ui.js";

export const title = "Dead letters";

export function load({ query, signal }) {
  return get(["dead-letters"], query, { signal });
}

export function render({ items, next }, context) {
  const { query } = context;
  const fields = [
    field("Webhook", h("input", { type: "search", name: "webhook", value: query.webhook ?? "" })),
    field("Event id", h("input", { type: "search", name: "event", value: query.event ?? "" })),
  ];
  return [
    h("p", { class: "help" }, "What a receiver rejected, or did not take until the schedule was at its end. Mend the receiver, then replay."),
    filters(context, fields),
    items.length ? [context.can("operator") ? bulk(items, context) : null, list(items, context)] : empty("There are no dead letters."),
    pages(context, next),
  ];
}

function chosen(items, context) {
  const picked = context.state.picked ?? new Set();
  return items.filter((item) => picked.has(item.id)).map((item) => item.id);
}

function bulk(items, context) {
  const ids = chosen(items, context);
  const { webhook, event } = context.query;
  const narrowed = { ...(webhook && { webhook }), ...(event && { event }) };
  const body = ids.length ? { ids } : webhook || event ? narrowed : { all: true };
  const what = ids.length ? `${ids.length} chosen` : webhook || event ? "all of this filter" : "all";
  const send = (pressed) => context.act(pressed.currentTarget, () => post(["dead-letters", "replay"], body), replayed);
  const drop = async ({ currentTarget: pressed }) => {
    if (!(await confirm(`Drop ${what}?`, "They are lost then. This cannot be undone.", "Drop"))) return;
    await context.act(pressed, () => post(["dead-letters", "drop"], body), (answer) => `${count(answer.count, "dead letter")} dropped`);
  };
  return h("div", { class: "actions" }, button(`Replay ${what}`, send, { class: "main" }), button(`Drop ${what}`, drop, { class: "danger" }));
}

function list(items, context) {
  const columns = [
    { title: "Given up", cell: (item) => time(item.at) },
    { title: "Webhook", cell: (item) => link(["webhooks", item.webhook], item.webhook) },
    { title: "Event", head: true, cell: (item) => [link(["events", item.event_id], kindOf(item.kind)),
      item.topic ? h("div", { class: "topic" }, item.topic) : null] },
    { title: "Why", wide: true, cell: (item) => [item.why, item.outcome].filter(Boolean).join(": ") },
    { title: "Attempts", cell: (item) => String(item.attempts) },
  ];
  if (context.can("operator")) {
    columns.unshift({ title: "Choose", act: true, cell: (item) => pick(item, context) });
    columns.push({ title: "Act", act: true, cell: (item) => acts(item, context) });
  }
  return table("Dead letters", columns, items, (item) => item.id);
}

function pick(item, context) {
  const picked = (context.state.picked ??= new Set());
  const onchange = (event) => {
    if (event.target.checked) picked.add(item.id);
    else picked.delete(item.id);
    context.render();
  };
  const box = h("input", { type: "checkbox", checked: picked.has(item.id), onchange, "aria-label": `Choose the event ${item.event_id} for ${item.webhook}` });
  return h("label", { class: "tick" }, box, h("span", { class: "narrow", "aria-hidden": "true" }, "Choose"));
}

function acts(item, context) {
  const send = (pressed) => context.act(pressed.currentTarget, () => post(["dead-letters", "replay"], { ids: [item.id] }), replayed);
  return h("div", { class: "actions" },
    button("Replay", send, { "aria-label": `Replay the event ${item.event_id} for ${item.webhook}` }),
    button("Show", () => show(item, context), { class: "plain", "aria-label": `Show the event ${item.event_id}` }));
}

async function show(item, context) {
  let content;
  try {
    content = h("pre", {}, JSON.stringify(await get(["dead-letters", String(item.id)], {}, { signal: context.signal }), null, 2));
  } catch (error) {
    content = problemBox(error);
  }
  await dialog("Dead letter", content);
}
