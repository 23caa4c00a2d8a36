// The parts that sections are made of: badges, times, tables, filters, pages, dialogs, notes.

import { h } from "./dom.js";
import { ago, kind, state } from "./text.js";

const SIGNS = { ok: "✓", warn: "!", bad: "✕", off: "–" };

/** A state in a colour, a sign and words. */
export function badge(level, text) {
  return h("span", { class: `badge ${level}` }, h("span", { "aria-hidden": "true" }, SIGNS[level]), ` ${text}`);
}

export function stateBadge(name) {
  return badge(...state(name));
}

export function time(iso, absent = "never") {
  const at = Date.parse(iso ?? "");
  if (Number.isNaN(at)) return h("span", { class: "quiet" }, absent);
  const exact = `${iso.slice(0, 19).replace("T", " ")} UTC`;
  return h("time", { datetime: iso, title: exact }, ago(at));
}

/** Goes on telling the time where nothing is refreshed. */
export function tellTime() {
  for (const shown of document.querySelectorAll("main time[datetime]")) {
    const text = ago(Date.parse(shown.dateTime));
    if (shown.textContent !== text) shown.textContent = text;
  }
}

export function kindOf(name) {
  return h("span", { title: name }, kind(name));
}

export function link(segments, text, query = "") {
  return h("a", { href: `#/${segments.map(encodeURIComponent).join("/")}${query}` }, text);
}

export function button(text, onclick, attributes = {}) {
  return h("button", { type: "button", onclick, ...attributes }, text);
}

/**
 * A table that narrow screens show as a list of cards. Columns are `{ title, cell }`; `head` marks the one
 * that names the row, `wide` what needs room, `act` what needs no title on a card. The roles are written out, as such a layout takes them from the elements.
 */
export function table(label, columns, items, keyOf) {
  const titles = columns.map(({ title }) => h("th", { scope: "col", role: "columnheader" }, title));
  const cell = ({ title, cell: content, head, wide, act }, item) =>
    h(head ? "th" : "td", { "data-title": act ? null : title, class: wide || act ? "wide" : null, role: head ? "rowheader" : "cell", scope: head ? "row" : null },
      h("div", {}, content(item)));
  const rows = items.map((item) => h("tr", { "data-key": keyOf(item), role: "row" }, columns.map((column) => cell(column, item))));
  return h("table", { role: "table", "aria-label": label },
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, titles)),
    h("tbody", { role: "rowgroup" }, rows));
}

export function empty(text) {
  return h("p", { class: "empty" }, text);
}

/** Links to the pages of a list. */
export function pages(context, next) {
  const { cursor, ...rest } = context.query;
  if (!cursor && !next) return null;
  return h("nav", { class: "pages", "aria-label": "Pages" },
    cursor ? h("a", { class: "button", href: context.here(rest) }, "Back to the first") : null,
    next ? h("a", { class: "button", href: context.here({ ...rest, cursor: next }) }, "More") : null);
}

export function field(label, control, help, problem) {
  const id = control.id || (control.id = `field-${label.toLowerCase().replace(/\W+/g, "-")}`);
  const told = [help ? `${id}-help` : "", problem ? `${id}-problem` : ""].filter(Boolean).join(" ");
  if (told) control.setAttribute("aria-describedby", told);
  if (problem) control.setAttribute("aria-invalid", "true");
  return h("div", { class: "field" },
    h("label", { for: id }, label),
    control,
    help ? h("p", { class: "help", id: `${id}-help` }, help) : null,
    problem ? h("p", { class: "problem", id: `${id}-problem` }, problem) : null);
}

/** A select of `[value, text]`. */
export function choice(options, value, attributes = {}) {
  const select = h("select", attributes, options.map(([name, text]) => h("option", { value: name }, text)));
  select.value = value;
  select.rendered = { value };
  return select;
}

/** A form that puts what is said into the address, so that it can be shared and gone back to. */
export function filters(context, fields) {
  const onsubmit = (event) => {
    event.preventDefault();
    const said = Object.fromEntries(new FormData(event.target));
    context.go(context.here(said));
  };
  const isFiltered = Object.keys(context.query).length > 0;
  return h("details", { open: isFiltered || matchMedia("(min-width: 46rem)").matches },
    h("summary", {}, "Filter"),
    h("form", { class: "filters", role: "search", onsubmit },
      fields,
      h("div", { class: "actions" },
        h("button", { type: "submit" }, "Filter"),
        isFiltered ? h("a", { class: "button plain", href: context.here({}) }, "Clear") : null)));
}

export function problemBox(problem, title = problem.title) {
  const errors = problem.errors ?? [];
  return h("div", { class: "note bad", role: "alert" },
    h("strong", {}, title ?? "It did not work"),
    h("p", {}, prose(problem.detail || problem.message)),
    errors.length ? h("ul", {}, errors.map((error) => h("li", {}, errorText(error)))) : null);
}

export function errorText(error) {
  const key = error.key ?? error.pointer ?? error.parameter;
  return [key ? [h("code", {}, key), ": "] : "", prose(error.detail ?? ""), error.help ? [" – ", prose(error.help)] : ""];
}

/** Shows what stands between backticks as code. */
function prose(text) {
  return text.split("`").map((part, at) => (at % 2 === 1 ? h("code", {}, part) : part));
}

/** Says something that the reader may miss without harm. */
export function toast(text, level = "ok") {
  const note = h("p", { class: `toast ${level}` }, text);
  document.getElementById("toasts").append(note);
  setTimeout(() => note.remove(), 8000);
}

/**
 * Shows a dialog; the browser keeps the focus in it and gives it back. Resolves to the value of the button that
 * closed it, "" for Escape. Buttons are `[value, text, class]`.
 */
export function dialog(title, content, buttons = [["", "Close"]]) {
  return new Promise((resolve) => {
    const close = (value) => () => box.close(value);
    const inner = h("div", { class: "content", role: "group", "aria-labelledby": "dialog-title" }, content);
    const box = h("dialog", { "aria-labelledby": "dialog-title" },
      h("h2", { id: "dialog-title" }, title),
      inner,
      h("div", { class: "actions" },
        buttons.map(([value, text, name]) => button(text, close(value), { class: name, "data-value": value }))));
    const opener = document.activeElement;
    box.addEventListener("close", () => {
      box.remove();
      if (opener?.isConnected) opener.focus();
      resolve(box.returnValue);
    });
    document.body.append(box);
    box.showModal();
    if (inner.scrollHeight > inner.clientHeight) inner.tabIndex = 0;
  });
}

export async function confirm(title, text, verb, level = "danger") {
  const answer = await dialog(title, h("p", {}, text), [["", "Cancel", "plain"], ["yes", verb, level]]);
  return answer === "yes";
}

/** Shows a secret once, to be copied. */
export function reveal(title, text, hint) {
  const shown = h("input", { class: "secret", readonly: true, value: text, "aria-label": title });
  const copy = async () => {
    shown.select();
    try {
      await navigator.clipboard.writeText(text);
      toast("Copied");
    } catch {
      toast("It is selected: copy it by hand", "warn");
    }
  };
  return dialog(title, [h("p", {}, hint), shown, button("Copy", copy)], [["", "Done"]]);
}
