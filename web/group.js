// Making and changing a group.

import { request } from "./api.js";
import { h } from "./dom.js";
import { KIND_NAMES, kind } from "./text.js";
import { field, problemBox, toast } from "./ui.js";

export const isStill = true;

export function title({ params, data }) {
  return params.id ? `Edit ${data?.name ?? params.id}` : "New group";
}

export async function load(context) {
  const { params, signal } = context;
  if (context.data) return context.data;
  if (!params.id) return { name: "", topics: [], clients: [], events: null };
  const { data, etag } = await request("GET", `/groups/${encodeURIComponent(params.id)}`, { signal });
  return { ...data, etag };
}

export function render(data, context) {
  const name = h("input", { id: "name", name: "name", value: data.name, required: true, readonly: Boolean(data.id), autocomplete: "off" });
  const lines = (id, texts, placeholder) => h("textarea", { id, name: id, rows: 4, placeholder, spellcheck: "false", value: [texts ?? []].flat().join("\n") });
  const chosen = data.events ?? ["on_message_publish"];
  const kinds = KIND_NAMES.map((one) => h("label", { class: "tick" },
    h("input", { type: "checkbox", name: "events", value: one, checked: chosen.includes(one) }), ` ${kind(one)}`));
  return h("form", { class: "block", novalidate: true, onsubmit: (event) => save(event, data, context) },
    data.refused ? problemBox(data.refused) : null,
    field("Name", name),
    field("Topic filters", lines("topics", data.topics, "#"), "One a line; empty: all."),
    field("Clients", lines("clients", data.clients, "*"), "Patterns of client identifiers, one a line; empty: all. Messages are in it only where it is known who published them."),
    h("fieldset", {}, h("legend", {}, "Events"), h("div", { class: "ticks" }, kinds)),
    h("div", { class: "actions" },
      h("button", { type: "submit", class: "main" }, data.id ? "Save" : "Create"),
      h("a", { class: "button plain", href: "#/groups" }, "Cancel")));
}

async function save(event, data, context) {
  event.preventDefault();
  const said = new FormData(event.target);
  const lines = (name) => said.get(name).split("\n").map((line) => line.trim()).filter(Boolean);
  const body = { name: said.get("name").trim(), events: said.getAll("events") };
  // What is refused is shown as it was typed.
  Object.assign(data, body, { topics: lines("topics"), clients: lines("clients") });
  if (lines("topics").length) body.topics = lines("topics");
  if (lines("clients").length) body.clients = lines("clients");
  try {
    await request(data.id ? "PUT" : "POST", data.id ? `/groups/${encodeURIComponent(data.id)}` : "/groups", { body, etag: data.etag });
    toast(`${body.name} is saved`);
    context.go("#/groups");
  } catch (error) {
    data.refused = error;
    context.render();
    document.querySelector("main [role=alert]")?.scrollIntoView({ block: "center" });
  }
}
