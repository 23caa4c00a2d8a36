// Making and changing a webhook: fields for the usual, the whole definition as JSON for all else. Both show one
// definition, which has the keys of the configuration file.

import { get, permitted, request } from "./api.js";
import { h } from "./dom.js";
import { KIND_NAMES, MESSAGE_KINDS, kind } from "./text.js";
import { button, choice, dialog, errorText, field, problemBox, toast } from "./ui.js";

export const isStill = true;

const FORMATS = [["", "As NanoMQ (the default)"], ["json", "JSON: all that is known"], ["cloudevents", "CloudEvents"],
  ["raw", "Raw: the payload as it is"], ["mender", "Mender"], ["template", "Template (below, as JSON)"]];
const SCHEMES = [["standard-webhooks", "Standard Webhooks"], ["github", "GitHub"], ["mender", "Mender"]];

export function title({ params, data }) {
  return params.id ? `Edit ${data?.name ?? params.id}` : "New webhook";
}

/** What is being made is kept as it is while somebody edits it. */
export async function load(context) {
  if (context.data) return context.data;
  const { params, signal } = context;
  const groups = await permitted(get(["groups"], { limit: 500 }, { signal }));
  if (!params.id) {
    const definition = { url: "", events: [{ event: "on_message_publish" }] };
    return { name: "", group: null, definition, groups: groups?.items ?? [] };
  }
  const { data, etag } = await request("GET", `/webhooks/${encodeURIComponent(params.id)}`, { signal });
  return { name: data.name, group: data.group, definition: data.definition, etag, id: data.id, origin: data.origin, groups: groups?.items ?? [] };
}

export function render(data, context) {
  if (data.origin === "file") return h("p", { class: "note warn" }, "It is defined in the configuration file: change it there, and reload.");
  const told = data.refused ? problemsByKey(data.refused, data.name) : {};
  const problem = (...keys) => among(told, keys);
  return h("form", { class: "block", novalidate: true, onsubmit: (event) => save(event, data, context) },
    data.refused ? problemBox(data.refused) : null,
    identity(data, problem),
    events(data, context, problem),
    h("fieldset", {}, h("legend", {}, "Request"), body(data, problem), signature(data, context, problem)),
    definition(data, context),
    h("div", { class: "actions" },
      h("button", { type: "submit", class: "main" }, data.id ? "Save" : "Create"),
      h("a", { class: "button plain", href: data.id ? `#/webhooks/${encodeURIComponent(data.id)}` : "#/webhooks" }, "Cancel")));
}

function identity(data, problem) {
  const name = h("input", { id: "name", value: data.name, required: true, readonly: Boolean(data.id), autocomplete: "off", spellcheck: "false",
    oninput: (event) => { data.name = event.target.value; } });
  const url = h("input", { id: "url", type: "url", value: text(data.definition.url), required: true, autocomplete: "off",
    placeholder: "https://example.org/hook", oninput: (event) => { data.definition.url = event.target.value; } });
  const groups = [["", "None"], ...data.groups.map((group) => [group.name, group.name])];
  if (data.group && !data.groups.some((group) => group.name === data.group)) groups.push([data.group, data.group]);
  const group = choice(groups, data.group ?? "", { id: "group", onchange: (event) => { data.group = event.target.value || null; } });
  return [
    field("Name", name, data.id ? "It stays, as its events wait under it." : "Shown in logs and metrics.", problem("name")),
    field("URL", url, "Where to post to. {topic} and {client_id} stand for the event's.", problem("url")),
    field("Group", group, "A group gives its webhooks their events.", problem("group")),
  ];
}

function events(data, context, problem) {
  const rules = Array.isArray(data.definition.events) ? data.definition.events : [];
  const add = () => {
    data.definition.events = [...rules, { event: "on_message_publish" }];
    context.render();
    document.getElementById(`event-${rules.length}`)?.focus();
  };
  return h("fieldset", {}, h("legend", {}, "Events"),
    rules.map((rule, at) => eventRule(rule, at, data, context, problem)),
    problem("events") && rules.length === 0 ? h("p", { class: "problem" }, problem("events")) : null,
    button("Add an event", add));
}

function eventRule(rule, at, data, context, problem) {
  const isMessage = MESSAGE_KINDS.includes(rule.event);
  const kinds = KIND_NAMES.map((name) => [name, kind(name)]);
  const onchange = (event) => {
    rule.event = event.target.value;
    if (!MESSAGE_KINDS.includes(rule.event)) delete rule.topic;
    context.render();
  };
  const remove = () => {
    data.definition.events = data.definition.events.filter((other) => other !== rule);
    context.render();
    document.getElementById(`event-${Math.max(0, at - 1)}`)?.focus();
  };
  const topic = h("input", { id: `topic-${at}`, value: text(rule.topic), placeholder: "#", spellcheck: "false", autocapitalize: "none",
    oninput: (event) => put(rule, "topic", event.target.value) });
  const more = Object.keys(rule).filter((key) => !["event", "topic"].includes(key));
  const wrong = [`events.${at}`, `events[${at}]`].map((key) => problem(key)).find(Boolean);
  return h("div", { class: "rule" },
    field(`Event ${at + 1}`, choice(kinds, text(rule.event), { id: `event-${at}`, onchange }), null, wrong),
    isMessage ? field(`Topic filter ${at + 1}`, topic) : null,
    more.length ? h("p", { class: "help" }, `and ${more.join(", ")}, as below`) : null,
    button("Remove", remove, { class: "plain", "aria-label": `Remove event ${at + 1}` }));
}

function body(data, problem) {
  const onchange = (event) => putIn(data.definition, "body", "format", event.target.value);
  const value = text(data.definition.body?.format);
  const format = choice(FORMATS, value === "nanomq" ? "" : value, { id: "format", onchange });
  return field("Body", format, null, problem("body"));
}

function signature(data, context, problem) {
  const { sign } = data.definition;
  const isKept = Boolean(sign?.secret?.secret);
  const secret = h("input", { id: "secret", type: "password", autocomplete: "new-password", value: typeof sign?.secret === "string" ? sign.secret : "",
    placeholder: isKept ? "stays as it is" : "whsec_…", oninput: (event) => {
      if (event.target.value === "" && isKept) data.definition.sign.secret = { secret: true };
      else putIn(data.definition, "sign", "secret", event.target.value);
    } });
  const onchange = (event) => putIn(data.definition, "sign", "scheme", event.target.value);
  const stops = () => {
    delete data.definition.sign;
    context.render();
  };
  return [
    field("Signing secret", secret, isKept ? "A secret is set, and is not shown. Write another one to replace it." : "Empty: requests are not signed.", problem("sign")),
    field("Signature", choice(SCHEMES, sign?.scheme ?? "standard-webhooks", { id: "scheme", onchange })),
    sign ? button("Do not sign", stops, { class: "plain" }) : null,
  ];
}

function definition(data, context) {
  const area = h("textarea", { id: "json", rows: 14, spellcheck: "false", value: JSON.stringify(data.definition, null, 2),
    onchange: (event) => read(event.target.value) });
  const read = (json) => {
    try {
      const parsed = JSON.parse(json);
      if (parsed === null || typeof parsed !== "object" || Array.isArray(parsed)) throw new Error("It must be an object.");
      data.definition = parsed;
      data.broken = null;
    } catch (error) {
      data.broken = `This is no JSON: ${error.message}`;
    }
    context.render();
  };
  // What was typed into the fields is shown when somebody looks.
  const show = () => { if (!data.broken) context.render(); };
  return h("details", {}, h("summary", { onclick: show }, "The whole definition, as JSON"),
    field("Definition", area, "The keys of the configuration file, with which all else can be set. Secrets are not shown; what says so stays as it is.", data.broken));
}

function text(value) {
  return typeof value === "string" ? value : "";
}

function put(object, key, value) {
  if (value === "") delete object[key];
  else object[key] = value;
}

function putIn(object, table, key, value) {
  object[table] = { ...object[table] };
  put(object[table], key, value);
  if (Object.keys(object[table]).length === 0) delete object[table];
}

async function save(event, data, context) {
  event.preventDefault();
  if (data.broken) return document.getElementById("json").focus();
  const body = { name: data.name.trim(), definition: data.definition, ...(data.group && { group: data.group }) };
  try {
    const path = data.id ? `/webhooks/${encodeURIComponent(data.id)}` : "/webhooks";
    const saved = await request(data.id ? "PUT" : "POST", path, { body, etag: data.etag });
    toast(`${body.name} is saved`);
    for (const warning of saved.data.warnings ?? []) toast(`${warning.detail}${warning.help ? ` – ${warning.help}` : ""}`, "warn");
    context.go(`#/webhooks/${encodeURIComponent(saved.data.id)}`);
  } catch (error) {
    if (error.status === 412) return conflict(data, context);
    data.refused = error;
    context.render();
    (document.querySelector("main [aria-invalid]") ?? document.querySelector("main [role=alert]"))?.focus();
  }
  return undefined;
}

async function conflict(data, context) {
  const text = "Somebody else has changed this webhook since you opened it. Yours would undo that.";
  const answer = await dialog("Changed meanwhile", h("p", {}, text), [["", "Go on editing", "plain"], ["theirs", "Show theirs"], ["mine", "Keep mine", "danger"]]);
  if (answer === "") return;
  const { data: theirs, etag } = await request("GET", `/webhooks/${encodeURIComponent(data.id)}`);
  data.etag = etag;
  if (answer === "theirs") Object.assign(data, { name: theirs.name, group: theirs.group, definition: theirs.definition, refused: null });
  context.render();
  if (answer === "mine") document.querySelector("main form").requestSubmit();
}

/** Returns what is wrong by the key within the definition, such as `url` or `events.0.topic`. */
function problemsByKey(problem, name) {
  const told = {};
  for (const error of problem.errors ?? []) {
    const path = String(error.key ?? error.pointer ?? "");
    const within = path.startsWith("/") ? path.slice(1).replaceAll("/", ".") : path;
    const key = [`webhooks.${name}.`, `webhooks."${name}".`, "definition."].reduce((rest, start) => (rest.startsWith(start) ? rest.slice(start.length) : rest), within);
    // The field says which key it is.
    const detail = String(error.detail ?? "").replace(/^`[^`]*`: /, "");
    told[key] ??= errorText({ detail, help: error.help });
  }
  return told;
}

function among(told, keys) {
  const found = Object.keys(told).find((key) => keys.some((wanted) => key === wanted || key.startsWith(`${wanted}.`) || key.startsWith(`${wanted}[`)));
  return found === undefined ? null : told[found];
}
