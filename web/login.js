// Logging in: a token is all there is.

import { get, setToken } from "./api.js";
import { h } from "./dom.js";
import { field } from "./ui.js";

export const title = "Log in";

let reason = "";

/** Says why somebody is asked again. */
export function say(text) {
  reason = text;
}

export function render(_, context) {
  const token = h("input", { id: "token", name: "token", type: "password", autocomplete: "current-password",
    spellcheck: "false", autocapitalize: "none", required: true, "data-first": true });
  const onsubmit = async (event) => {
    event.preventDefault();
    setToken(event.target.elements.token.value.trim());
    try {
      await get(["whoami"]);
    } catch (error) {
      setToken(null);
      reason = error.status === 401 ? "This token is not known." : `${error.title ? `${error.title}: ` : ""}${error.message}`;
      context.render();
      document.getElementById("token").focus();
      return;
    }
    reason = "";
    await context.session.begin();
  };
  return h("form", { class: "login", onsubmit },
    reason ? h("p", { class: "note warn", role: "alert" }, reason) : null,
    field("Token", token, "It is kept until this tab is closed."),
    h("button", { type: "submit", class: "main" }, "Log in"),
    h("p", { class: "help" }, "On mqhook's host, this makes one: ", h("code", {}, "mqhook tokens create NAME --role admin -c FILE")));
}
