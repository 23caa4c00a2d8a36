// Tokens: who may use the API, and this page.

import { get, hasToken, post, request, setToken } from "./api.js";
import { h } from "./dom.js";
import { button, choice, confirm, empty, field, pages, problemBox, reveal, table, time } from "./ui.js";

export const title = "Tokens";

const ROLES = [
  ["viewer", "Viewer: sees everything but payloads and tokens"],
  ["operator", "Operator: also enables, tests, replays"],
  ["admin", "Admin: everything"],
  ["publisher", "Publisher: only publishes into groups"],
];

export function load({ signal, query }) {
  return get(["tokens"], { cursor: query.cursor }, { signal });
}

export function render({ items, next }, context) {
  return [
    items.length ? list(items, context) : empty("There is no token: everybody on mqhook's host may do everything, nobody else anything. From the first one on everybody needs one: make an admin first."),
    pages(context, next),
    h("h2", {}, "New token"),
    // Whoever made another one first would be locked out by it.
    form(items.length ? "viewer" : "admin", context),
  ];
}

function list(items, context) {
  const columns = [
    { title: "Name", head: true, cell: (item) => item.name },
    { title: "Role", cell: (item) => item.role },
    { title: "Limited to", cell: (item) => item.group ? `group ${item.group}` : item.webhook ? `webhook ${item.webhook}` : "nothing" },
    { title: "Made", cell: (item) => time(item.created_at, "–") },
    { title: "Last used", cell: (item) => time(item.last_used_at) },
    { title: "Act", act: true, cell: (item) => button("Remove", (event) => remove(event.currentTarget, item, context), { "aria-label": `Remove ${item.name}` }) },
  ];
  return table("Tokens", columns, items, (item) => String(item.id));
}

async function remove(pressed, { id, name }, context) {
  if (!(await confirm(`Remove ${name}?`, "Whoever uses it is refused from now on.", "Remove"))) return;
  await context.act(pressed, () => request("DELETE", `/tokens/${encodeURIComponent(id)}`), `${name} is removed`);
}

function form(role, context) {
  const onsubmit = async (event) => {
    event.preventDefault();
    const made = event.target;
    const body = Object.fromEntries([...new FormData(made)].filter(([, value]) => value !== ""));
    try {
      const { token } = await post(["tokens"], body);
      // The first token ends the time in which none was needed.
      if (!hasToken() && body.role === "admin") setToken(token);
      made.reset();
      await reveal(`The token ${body.name}`, token, "It is shown this once, and kept nowhere. Copy it now.");
    } catch (error) {
      context.state.refused = error;
      return context.render();
    }
    return context.session.begin();
  };
  const { refused } = context.state;
  return h("form", { class: "block", onsubmit },
    refused ? problemBox(refused) : null,
    field("Name", h("input", { name: "name", required: true, maxlength: 128, autocomplete: "off" }), "Letters, digits, dots, _ and -."),
    field("Role", choice(ROLES, role, { name: "role" })),
    field("Only this group", h("input", { name: "group", autocomplete: "off" }), "Empty: not limited."),
    field("Only this webhook", h("input", { name: "webhook", autocomplete: "off" }), "Empty: not limited."),
    h("div", { class: "actions" }, h("button", { type: "submit", class: "main" }, "Make the token")));
}
