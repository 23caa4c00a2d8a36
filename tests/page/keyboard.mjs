// Without a mouse: a webhook is made, refused, mended, tested, changed against another change, signed, disabled and deleted, and an event replayed.

import { api, ask, assert, assertHarmless, assertUsable, fill, page, photograph, play, publish, receiver, shown, until, visit } from "./browser.mjs";

const MOST = 80;
const SECRET = `whsec_${btoa("a secret of thirty-two bytes, ok!")}`;

await play(async (open) => {
  await fill();
  const tab = await open();
  await visit(tab, "webhooks");

  await reach(tab, "New webhook");
  await tab.keyboard.press("Enter");
  await tab.waitForURL("**/#/new-webhook");
  await shown(tab);
  assert.equal(await focused(tab), "New webhook", "the heading has the focus after a change of section");

  await reach(tab, "Name");
  await tab.keyboard.type("made");
  await reach(tab, "URL");
  await tab.keyboard.type("nonsense");
  await reach(tab, "Topic filter 1");
  await tab.keyboard.type("made/#");
  await tab.keyboard.press("Enter");
  await tab.locator("main [role=alert]").waitFor();
  assert.equal(await focused(tab), "URL", "the field that is wrong has the focus");
  await assertUsable(tab, "a refused form");
  await photograph(tab, "refused");
  await tab.keyboard.press("Control+A");
  await tab.keyboard.type(`${receiver}/made`);
  await tab.keyboard.press("Enter");
  await tab.getByRole("heading", { name: "made", level: 1, exact: true }).waitFor();

  await publish("made/1", "hello");
  await until("the event at the receiver", async () => (await ask("requests", { target: "/made" })).length === 1);
  await tab.locator("tbody tr").first().waitFor();

  await reach(tab, "Test made");
  await tab.keyboard.press("Enter");
  const dialog = tab.getByRole("dialog", { name: "Test of made" });
  await dialog.getByText("Delivered").waitFor();
  await dialog.getByText(`POST ${receiver}/made`).waitFor();
  await assertUsable(tab, "the dialog of a test");
  await photograph(tab, "test");
  await tab.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  assert.equal(await focused(tab), "Test made", "the focus is where it was before the dialog");
  const sent = await ask("requests", { target: "/made" });
  assert.equal(sent.length, 2, "the example came");

  await reach(tab, "Edit");
  await tab.keyboard.press("Enter");
  await tab.getByRole("heading", { name: "Edit made" }).waitFor();
  await reach(tab, "Add an event");
  await tab.keyboard.press("Enter");
  assert.equal(await focused(tab), "Event 2", "what was added has the focus");
  for (let step = 0; step < 5; step += 1) await tab.keyboard.press("ArrowDown");
  await reach(tab, "Signing secret");
  await tab.keyboard.type(SECRET);
  await changeMeanwhile();
  await reach(tab, "Save");
  await tab.keyboard.press("Enter");
  await tab.getByRole("dialog", { name: "Changed meanwhile" }).waitFor();
  await reach(tab, "Keep mine");
  await tab.keyboard.press("Enter");
  await tab.getByRole("heading", { name: "made", level: 1, exact: true }).waitFor();
  const { definition } = await api("GET", "/webhooks/made");
  assert.deepEqual(definition.events.map((rule) => rule.event), ["on_message_publish", "on_client_connected"]);
  assert.equal(definition.timeout, undefined, "mine was kept");
  await visit(tab, "webhooks/made/edit");
  await tab.getByText("A secret is set, and is not shown.").waitFor();
  await reach(tab, "Save");
  await tab.keyboard.press("Enter");
  await tab.getByRole("heading", { name: "made", level: 1, exact: true }).waitFor();
  assert.ok(!(await tab.content()).includes(SECRET), "a secret is not shown again");
  await publish("made/2", "signed");
  await until("a signed event", async () => (await ask("headers", { target: "/made" })).at(-1).some((line) => line.startsWith("webhook-signature: v1,")));

  await reach(tab, "Disable made");
  await tab.keyboard.press("Enter");
  await tab.getByRole("dialog").waitFor();
  await reach(tab, "Disable");
  await tab.keyboard.press("Enter");
  await tab.getByRole("button", { name: "Enable made" }).waitFor();
  await reach(tab, "Delete");
  await tab.keyboard.press("Enter");
  await tab.getByRole("dialog").waitFor();
  await reach(tab, "Delete");
  await tab.keyboard.press("Enter");
  await tab.waitForURL("**/#/webhooks");

  await ask("mend the receiver");
  await visit(tab, "dead-letters");
  await reach(tab, /^Choose the event/);
  await tab.keyboard.press("Space");
  await reach(tab, "Replay 1 chosen", "Shift+Tab");
  await tab.keyboard.press("Enter");
  await tab.getByText("There are no dead letters.").waitFor();
  await until("the event again", async () => (await ask("requests", { target: "/rejected" })).length === 2);
  await assertHarmless(tab);
});

/** Somebody else changes the webhook. */
async function changeMeanwhile() {
  const response = await fetch(`${page}/webhooks/made`);
  const { definition } = await response.json();
  await api("PUT", "/webhooks/made", { etag: response.headers.get("etag"), body: { definition: { ...definition, timeout: "9s" } } });
}

/** Goes on with the tabulator key until something with this name has the focus. */
async function reach(tab, name, key = "Tab") {
  const is = (found) => (typeof name === "string" ? found === name : name.test(found));
  const met = [];
  for (let step = 0; step < MOST; step += 1) {
    await tab.keyboard.press(key);
    const found = await focused(tab);
    if (is(found)) return assertVisibleFocus(tab, found);
    met.push(found);
  }
  throw new Error(`expected to reach ${name}, met ${met.join(", ")}`);
}

async function assertVisibleFocus(tab, name) {
  const outline = await tab.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  assert.notEqual(outline, "none", `the focus on ${name} is seen`);
}

/** Returns the name of what has the focus. */
function focused(tab) {
  return tab.evaluate(() => {
    const node = document.activeElement;
    const label = node.getAttribute("aria-label") ?? node.labels?.[0]?.textContent ?? node.textContent;
    return label.trim();
  });
}
