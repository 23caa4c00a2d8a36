// The clients that are remembered.

import { get, request } from "./api.js";
import { h } from "./dom.js";
import { kind } from "./text.js";
import { button, choice, confirm, dialog, empty, field, filters, pages, problemBox, stateBadge, table, time } from "./ui.js";

export const title = "Devices";

const STATUSES = [["", "Any"], ["connected", "Connected"], ["disconnected", "Disconnected"], ["refused", "Refused"], ["unknown", "Unknown"]];

export function load({ query, signal }) {
  return get(["devices"], query, { signal });
}

export function render({ items, next }, context) {
  const { query } = context;
  const isFiltered = Object.keys(query).length > 0;
  const fields = [
    field("Client identifier", h("input", { type: "search", name: "q", value: query.q ?? "" })),
    field("Status", choice(STATUSES, query.status ?? "", { name: "status" })),
  ];
  return [
    filters(context, fields),
    items.length ? list(items, context) : empty(isFiltered ? "No device is like that."
      : "No device is remembered. They are if a webhook takes events of devices, or with devices.enabled = true."),
    pages(context, next),
  ];
}

function list(items, context) {
  const columns = [
    { title: "Client", head: true, cell: (item) => h("span", { class: "topic" }, item.client_id) },
    { title: "Status", cell: (item) => [stateBadge(item.status), " ", item.reason && item.status !== "connected" ? item.reason : ""] },
    { title: "Since", cell: (item) => time(item.since, "–") },
    { title: "User", cell: (item) => item.username ?? "–" },
    { title: "Address", cell: (item) => item.address ?? "–" },
    { title: "First seen", cell: (item) => time(item.first_seen) },
    { title: "Last seen", cell: (item) => time(item.last_seen) },
  ];
  columns.push({ title: "Act", act: true, cell: (item) => acts(item, context) });
  return table("Devices", columns, items, (item) => item.client_id);
}

function acts(item, context) {
  return h("div", { class: "actions" },
    button("Webhooks", () => reach(item, context), { class: "plain", "aria-label": `Webhooks of ${item.client_id}` }),
    context.can("operator")
      ? button("Remove", (event) => remove(event.currentTarget, item, context), { "aria-label": `Remove ${item.client_id}` }) : null);
}

/** Says which webhooks the client's events reach, and by which rules. */
async function reach({ client_id: id }, context) {
  let content;
  try {
    const { items } = await get(["clients", id, "webhooks"], {}, { signal: context.signal });
    content = items.length ? h("ul", {}, items.map(({ name, rules }) => h("li", {}, name, h("ul", {}, rules.map(rule))))) : h("p", {}, "None.");
  } catch (error) {
    content = problemBox(error);
  }
  await dialog(`Webhooks of ${id}`, content);
}

function rule({ event, topic, conditional }) {
  return h("li", {}, kind(event), topic ? [" ", h("code", {}, topic)] : "", conditional ? ", under a condition" : "");
}

async function remove(pressed, { client_id: id }, context) {
  const text = "It is told as decommissioned. If it connects again, it is a new device.";
  if (!(await confirm(`Remove ${id}?`, text, "Remove"))) return;
  await context.act(pressed, () => request("DELETE", `/devices/${encodeURIComponent(id)}`), `${id} is removed`);
}
