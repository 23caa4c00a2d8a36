// The live tail: events as they are accepted.

import { Problem, path, stream } from "./api.js";
import { h } from "./dom.js";
import { KIND_NAMES, bytes, count, kind } from "./text.js";
import { badge, button, choice, empty, field, filters, kindOf, problemBox, table, time } from "./ui.js";

export const title = "Live events";
export const isStill = true;

const MOST = 200;
const PAINT = 250;

export function load(context) {
  const { state } = context;
  if (!state.rows) {
    Object.assign(state, { rows: [], seen: 0, missed: 0, isPaused: false, link: "connecting" });
    listen(context);
  }
  return state;
}

export function render(state, context) {
  const { query } = context;
  const kinds = [["", "Any"], ...KIND_NAMES.map((name) => [name, kind(name)])];
  const fields = [
    field("Kind", choice(kinds, query.kind ?? "", { name: "kind" })),
    field("Topic", h("input", { type: "search", name: "topic", value: query.topic ?? "", placeholder: "sensors/#" })),
    field("Client", h("input", { type: "search", name: "client_id", value: query.client_id ?? "" })),
    field("Webhook", h("input", { type: "search", name: "webhook", value: query.webhook ?? "" })),
    context.can("operator") ? h("label", { class: "tick" }, h("input", { type: "checkbox", name: "payload", value: "1", checked: query.payload === "1" }), " Payloads") : null,
  ];
  const pause = () => {
    state.isPaused = !state.isPaused;
    context.render();
  };
  return [
    filters(context, fields),
    h("div", { class: "bar" },
      h("p", { role: "status" }, connection(state)),
      button(state.isPaused ? "Go on" : "Pause", pause),
      button("Clear", () => { state.rows = []; state.missed = 0; context.render(); }, { class: "plain" })),
    state.problem ? problemBox(state.problem) : null,
    state.missed ? h("p", { class: "note warn" }, `${count(state.missed, "event")} came too fast to be shown. A filter helps.`) : null,
    state.rows.length ? list(state.rows, query.payload === "1") : empty("Nothing has happened since you came here."),
  ];
}

function connection(state) {
  if (state.isPaused) return badge("off", "Paused");
  return { connecting: badge("off", "Connecting"), open: badge("ok", "Listening"), lost: badge("bad", "Lost; trying again"), refused: badge("bad", "Refused") }[state.link];
}

function list(rows, hasPayload) {
  const columns = [
    { title: "Event", head: true, cell: (item) => h("a", { href: `#/events/${encodeURIComponent(item.id)}` }, kindOf(item.kind)) },
    { title: "Topic", wide: true, cell: (item) => h("span", { class: "topic" }, item.topic ?? "–") },
    { title: "When", cell: (item) => time(item.time) },
    { title: "Size", cell: (item) => bytes(item.bytes) },
    { title: "Client", cell: (item) => h("span", { class: "topic" }, item.client_id ?? "–") },
    { title: "Webhooks", cell: (item) => (item.webhooks ?? []).join(", ") || "–" },
  ];
  if (hasPayload) columns.push({ title: "Payload", wide: true, cell: (item) => h("pre", { tabindex: "0" }, payload(item)) });
  return table("Events", columns, rows, (item) => item.key);
}

function payload({ payload: text, payload_base64: base64 }) {
  return text ?? (base64 ? `base64: ${base64}` : "");
}

/** Reads the stream until the section is left, again and again. */
async function listen(context) {
  const { state, query, signal } = context;
  const target = path(["events", "stream"], query);
  let failures = 0;
  while (!signal.aborted) {
    try {
      for await (const message of stream(target, signal, () => { failures = 0; state.link = "open"; state.problem = null; context.render(); })) take(message, context);
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Problem) state.problem = error;
      if (error instanceof Problem && error.status < 500 && error.status !== 429) {
        state.link = "refused";
        return context.render();
      }
    }
    if (signal.aborted) return undefined;
    state.link = "lost";
    context.render();
    failures += 1;
    await new Promise((resolve) => { setTimeout(resolve, Math.min(30_000, 500 * 2 ** failures)); });
  }
  return undefined;
}

function take({ event, data }, context) {
  const { state } = context;
  if (event === "lagged") state.missed += data.missed ?? 0;
  if (event !== "event" || state.isPaused) return;
  state.seen += 1;
  state.rows = [{ ...data, key: `${data.id}-${state.seen}` }, ...state.rows].slice(0, MOST);
  // A burst is painted once.
  state.painting ??= setTimeout(() => {
    state.painting = undefined;
    if (!context.signal.aborted) context.render();
  }, PAINT);
}
