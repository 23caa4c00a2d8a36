// What can be done with a webhook, and the parts that its pages share.

import { Problem, post, request } from "./api.js";
import { h } from "./dom.js";
import { milliseconds } from "./text.js";
import { button, confirm, dialog, problemBox, reveal, stateBadge } from "./ui.js";

const MINUTES = 60;

/** Returns the last hour of a webhook, oldest first; minutes in which nothing happened are zero. */
export function minutesOf(summary, name) {
  const told = summary?.webhooks.find((item) => item.webhook === name)?.minutes ?? [];
  const none = Array.from({ length: Math.max(0, MINUTES - told.length) }, () => ({ delivered: 0, failed: 0 }));
  return [...none, ...told.slice(-MINUTES)];
}

/** Returns those of `wanted` that the webhook's state and the reader's role allow. */
export function buttons(webhook, context, wanted) {
  const segments = ["webhooks", webhook.id];
  const isOn = webhook.status === "enabled";
  const label = (verb) => ({ "aria-label": `${verb} ${webhook.name}` });
  const all = {
    enable: () => !isOn && context.can("operator") && button("Enable",
      (event) => context.act(event.currentTarget, () => post([...segments, "enable"]), `${webhook.name} is enabled`), label("Enable")),
    disable: () => isOn && context.can("operator") && button("Disable",
      (event) => disable(event.currentTarget, webhook, context), label("Disable")),
    test: () => context.can("operator") && button("Test", (event) => test(event.currentTarget, webhook, context), label("Test")),
    edit: () => mayChange(webhook, context) && h("a", { class: "button", href: `#/webhooks/${encodeURIComponent(webhook.id)}/edit` }, "Edit"),
    rotate: () => mayChange(webhook, context) && isSigned(webhook) && button("New signing secret",
      (event) => rotate(event.currentTarget, webhook, context)),
    remove: () => mayChange(webhook, context) && button("Delete",
      (event) => remove(event.currentTarget, webhook, context), { class: "danger" }),
  };
  return wanted.map((name) => all[name]()).filter(Boolean)
    .map((node, at) => { node.dataset.key = `act-${at}-${node.textContent}`; return node; });
}

function mayChange(webhook, context) {
  return webhook.origin !== "file" && context.can("admin");
}

function isSigned({ definition }) {
  const { scheme = "standard-webhooks" } = definition?.sign ?? {};
  return Boolean(definition?.sign) && scheme === "standard-webhooks";
}

async function disable(pressed, webhook, context) {
  const text = "Its events are kept until it is enabled again, or until they are too old.";
  if (!(await confirm(`Disable ${webhook.name}?`, text, "Disable"))) return;
  await context.act(pressed, () => post(["webhooks", webhook.id, "disable"]), `${webhook.name} is disabled`);
}

async function remove(pressed, webhook, context) {
  const text = "What waits for it is not delivered any more. This cannot be undone.";
  if (!(await confirm(`Delete ${webhook.name}?`, text, "Delete"))) return;
  const path = `/webhooks/${encodeURIComponent(webhook.id)}`;
  const deed = async () => {
    const { etag } = await request("GET", path);
    await request("DELETE", path, { etag });
    context.go("#/webhooks");
  };
  await context.act(pressed, deed, `${webhook.name} is deleted`);
}

async function rotate(pressed, webhook, context) {
  const text = "Requests are signed with both secrets for 24 hours, so that the receiver can go over to the new one.";
  if (!(await confirm(`Make a new signing secret for ${webhook.name}?`, text, "Make", "main"))) return;
  const answer = await context.act(pressed, () => post(["webhooks", webhook.id, "rotate-secret"]), "The secret is changed");
  if (answer?.secret) await reveal("The new signing secret", answer.secret, "It is shown this once. Give it to the receiver now.");
}

/** Sends an example, and shows what was sent and what came back. */
async function test(pressed, webhook, context) {
  if (pressed.getAttribute("aria-disabled") === "true") return;
  pressed.setAttribute("aria-disabled", "true");
  let shown;
  try {
    shown = outcome(await post(["webhooks", webhook.id, "test"], undefined, { signal: context.signal }));
  } catch (error) {
    if (error.name === "AbortError") return;
    shown = problemBox(error, error instanceof Problem ? error.title : "No answer");
  } finally {
    pressed.removeAttribute("aria-disabled");
  }
  await dialog(`Test of ${webhook.name}`, shown);
}

function outcome({ outcome: name, status, class: error, detail, latency_ms: latency, request: sent, response }) {
  const headers = Object.entries(sent?.headers ?? {}).flatMap(([key, values]) => [values].flat().map((value) => `${key}: ${value}`));
  const answer = bodyText(response?.body);
  return [
    h("p", {}, stateBadge(name), " ", status ? `Status ${status}` : error ?? "", ` in ${milliseconds(latency)}`),
    detail ? h("p", {}, detail) : null,
    answer ? [h("h3", {}, "Answer"), h("pre", {}, answer)] : null,
    sent ? [h("h3", {}, "Request"), h("pre", {}, [`${sent.method} ${sent.url}`, ...headers, "", bodyText(sent.body)].join("\n"))] : null,
    h("p", { class: "quiet" }, "Nothing of this is counted, or kept."),
  ];
}

function bodyText(body) {
  if (body === null || body === undefined) return "";
  const text = typeof body === "string" ? body : body.text ?? `base64: ${body.base64}`;
  return body.capped ? `${text} …` : text;
}
