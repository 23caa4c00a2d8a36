// Makes and updates the document.
//
// Text is always text: nothing here, nor anywhere else on this page, parses markup, so that what a device,
// a receiver or a colleague wrote is shown and never run. The server's policy forbids it as well.

const SVG = "http://www.w3.org/2000/svg";
const HANDLERS = ["onclick", "oninput", "onchange", "onsubmit"];

/** Makes an element. `on…` are functions, `value` and `checked` what a control begins with; false and null are left out. */
export function h(tag, attributes, ...children) {
  return build(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes, ...children) {
  return build(document.createElementNS(SVG, tag), attributes, children);
}

function build(node, attributes, children) {
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (HANDLERS.includes(name)) node[name] = value;
    else if (name === "value" && "value" in node && node.tagName !== "OPTION") setState(node, "value", String(value));
    else if (name === "checked") setState(node, "checked", value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  return node;
}

/** What was last rendered is remembered, so that only a change of it replaces what somebody has typed since. */
function setState(node, name, value) {
  node[name] = value;
  (node.rendered ??= {})[name] = value;
}

/**
 * Makes `old` look like `fresh` with as little change as can be, so that focus, selection, scroll position, open
 * details and half-typed text survive a refresh. Children with `data-key` are matched by it.
 */
export function morph(old, fresh) {
  if (old.nodeName !== fresh.nodeName || key(old) !== key(fresh)) {
    old.replaceWith(fresh);
  } else if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
  } else {
    morphAttributes(old, fresh);
    morphChildren(old, fresh);
    for (const [name, value] of Object.entries(fresh.rendered ?? {})) {
      if (old.rendered?.[name] !== value) setState(old, name, value);
    }
  }
}

function morphAttributes(old, fresh) {
  const isTheUsers = (name) => name === "open" && old.nodeName === "DETAILS";
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && !isTheUsers(name)) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value && !isTheUsers(name)) old.setAttribute(name, value);
  }
  for (const name of HANDLERS) old[name] = fresh[name];
}

/** Replaces the children of `old` by those of `fresh`, keeping what stays. */
export function morphChildren(old, fresh) {
  const wanted = new Set([...fresh.childNodes].map(key).filter(Boolean));
  const there = new Map([...old.childNodes].filter(key).map((node) => [key(node), node]));
  let at = old.firstChild;
  const skip = () => {
    while (at && key(at) && !wanted.has(key(at))) at = remove(at);
  };
  for (const want of [...fresh.childNodes]) {
    skip();
    const same = key(want) ? there.get(key(want)) : null;
    if (key(want) && same !== at) {
      old.insertBefore(same ?? want, at);
      if (same) morph(same, want);
    } else if (at) {
      const next = at.nextSibling;
      morph(at, want);
      at = next;
    } else {
      old.append(want);
    }
  }
  while (at) at = remove(at);
}

function remove(node) {
  const next = node.nextSibling;
  node.remove();
  return next;
}

function key(node) {
  return node.dataset?.key;
}
