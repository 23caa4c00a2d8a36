// Groups: webhooks that share a scope of topics and clients.

import { get, post, request } from "./api.js";
import { h } from "./dom.js";
import { count, kind } from "./text.js";
import { button, confirm, dialog, empty, field, link, pages, table } from "./ui.js";

export const title = "Groups";

export function load({ query, signal }) {
  return get(["groups"], { cursor: query.cursor }, { signal });
}

export function render({ items, next }, context) {
  return [
    h("p", { class: "help" }, "Every webhook of a group gets a copy of each event in the group's scope."),
    context.can("admin") ? h("div", { class: "bar" }, h("a", { class: "button main", href: "#/new-group" }, "New group")) : null,
    items.length ? list(items, context) : empty("There are no groups."),
    pages(context, next),
  ];
}

function list(items, context) {
  const columns = [
    { title: "Name", head: true, cell: (item) => item.name },
    { title: "Topics", cell: (item) => each(item.topics, "all") },
    { title: "Clients", cell: (item) => each(item.clients, "all") },
    { title: "Events", cell: (item) => each((item.events ?? ["on_message_publish"]).map(kind), "none") },
    { title: "Webhooks", cell: (item) => link(["webhooks"], count((item.webhooks ?? []).length, "webhook"), `?group=${encodeURIComponent(item.name)}`) },
  ];
  if (context.can("operator")) columns.push({ title: "Act", act: true, cell: (item) => acts(item, context) });
  return table("Groups", columns, items, (item) => String(item.id));
}

function each(texts, otherwise) {
  return texts?.length ? [texts].flat().map((text) => h("div", { class: "topic" }, text)) : otherwise;
}

function acts(item, context) {
  const may = context.can("admin") && item.origin !== "file";
  return h("div", { class: "actions" },
    button("Publish", (event) => publish(event.currentTarget, item, context), { "aria-label": `Publish into ${item.name}` }),
    may ? h("a", { class: "button", href: `#/groups/${encodeURIComponent(item.id)}/edit`, "aria-label": `Edit ${item.name}` }, "Edit") : null,
    may ? button("Delete", (event) => remove(event.currentTarget, item, context), { class: "danger", "aria-label": `Delete ${item.name}` }) : null);
}

async function publish(pressed, group, context) {
  const topic = h("input", { id: "publish-topic", autocomplete: "off", spellcheck: "false" });
  const payload = h("textarea", { id: "publish-payload", rows: 4 });
  const content = [field("Topic", topic, "Within the group's scope; may be empty."), field("Payload", payload)];
  const answer = await dialog(`Publish into ${group.name}`, content, [["", "Cancel", "plain"], ["yes", "Publish", "main"]]);
  if (answer !== "yes") return;
  const body = { payload: payload.value, ...(topic.value && { topic: topic.value }) };
  await context.act(pressed, () => post(["groups", group.id, "events"], body), ({ events }) => `Published as ${events[0].id}`);
}

async function remove(pressed, group, context) {
  if (!(await confirm(`Delete ${group.name}?`, "Its webhooks get no events of it any more.", "Delete"))) return;
  const target = `/groups/${encodeURIComponent(group.id)}`;
  await context.act(pressed, async () => {
    const { etag } = await request("GET", target);
    await request("DELETE", target, { etag });
  }, `${group.name} is deleted`);
}
