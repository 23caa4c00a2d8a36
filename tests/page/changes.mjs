// A group is made, published into, changed against another change and deleted; the file is changed, and read again if it is good.

import { api, ask, assert, assertHarmless, assertUsable, page, photograph, play, receiver, until, visit } from "./browser.mjs";

const ADDED = `
[webhooks.added]
url = "{receiver}/added"
events = [{ event = "on_message_publish", topic = "added/#" }]
`;

await play(async (open) => {
  const tab = await open();
  await makesAGroup(tab);
  await publishesIntoIt(tab);
  await changesIt(tab);
  await readsTheFile(tab);
  await assertHarmless(tab);
});

async function makesAGroup(tab) {
  await visit(tab, "groups");
  await tab.getByText("There are no groups.").waitFor();
  await tab.getByRole("link", { name: "New group" }).click();
  await tab.getByLabel("Name").fill("greenhouse");
  await tab.getByLabel("Topic filters").fill("sensors/#/nonsense");
  await tab.getByRole("button", { name: "Create" }).click();
  await tab.locator("main [role=alert]").waitFor();
  assert.equal(await tab.getByLabel("Name").inputValue(), "greenhouse", "what was typed stays");
  await assertUsable(tab, "a refused group");
  await photograph(tab, "refused-group");
  await tab.getByLabel("Topic filters").fill("sensors/#\nplant/+/alarm\n");
  await tab.getByLabel("Application event").check();
  await tab.getByRole("button", { name: "Create" }).click();
  await tab.getByText("greenhouse is saved").waitFor();
  const [group] = (await api("GET", "/groups")).items;
  assert.deepEqual(group.topics, ["sensors/#", "plant/+/alarm"]);
  assert.deepEqual(group.events, ["on_message_publish", "on_application_event"]);
  await api("POST", "/webhooks", { body: { name: "alarms", group: "greenhouse", definition: { url: `${receiver}/alarms` } } });
}

async function publishesIntoIt(tab) {
  const dialog = tab.getByRole("dialog", { name: "Publish into greenhouse" });
  await tab.getByRole("button", { name: "Publish into greenhouse" }).click();
  await dialog.getByLabel("Topic").fill("plant/1/alarm");
  await dialog.getByLabel("Payload").fill("fire");
  await assertUsable(tab, "publishing");
  await photograph(tab, "publish");
  await dialog.getByRole("button", { name: "Publish" }).click();
  await tab.getByText(/^Published as/).waitFor();
  await until("the application's event", async () => (await ask("requests", { target: "/alarms" })).some((body) => body.includes("fire")));

  await tab.getByRole("button", { name: "Publish into greenhouse" }).click();
  await dialog.getByLabel("Topic").fill("not/#/a topic");
  await dialog.getByRole("button", { name: "Publish" }).click();
  const refusal = await tab.locator("#toasts .bad").innerText();
  assert.match(refusal, /#/, `what is wrong is said: ${refusal}`);
}

async function changesIt(tab) {
  await tab.getByRole("link", { name: "Edit greenhouse" }).click();
  await tab.getByRole("heading", { name: "Edit greenhouse" }).waitFor();
  assert.equal(await tab.getByLabel("Topic filters").inputValue(), "sensors/#\nplant/+/alarm");
  await changeMeanwhile();
  await tab.getByLabel("Clients").fill("boiler-*");
  await tab.getByRole("button", { name: "Save" }).click();
  await tab.locator("main [role=alert]").waitFor();
  assert.deepEqual((await api("GET", "/groups")).items[0].topics, ["other/#"], "nobody's change is overwritten unseen");
  await visit(tab, "groups");
  await tab.getByRole("link", { name: "Edit greenhouse" }).click();
  await tab.getByLabel("Clients").fill("boiler-*");
  await tab.getByRole("button", { name: "Save" }).click();
  await tab.getByRole("row").filter({ hasText: "boiler-*" }).waitFor();
}

/** Somebody else changes the group. */
async function changeMeanwhile() {
  const [{ id }] = (await api("GET", "/groups")).items;
  const etag = (await fetch(`${page}/groups/${id}`)).headers.get("etag");
  await api("PUT", `/groups/${id}`, { etag, body: { name: "greenhouse", topics: ["other/#"] } });
}

async function readsTheFile(tab) {
  await visit(tab, "webhooks");
  const reload = tab.getByRole("button", { name: "Reload the file" });
  await reload.click();
  await tab.getByText("Nothing has changed").waitFor();
  await ask("configure", { more: ADDED });
  await reload.click();
  await tab.getByText("new: added").waitFor();
  await tab.getByRole("heading", { name: "added" }).waitFor();
  await ask("configure", { more: `${ADDED}\n[webhooks.bad]\nurl = "nonsense"\n` });
  await reload.click();
  const dialog = tab.getByRole("dialog", { name: "The file is not taken" });
  await dialog.getByText("webhooks.bad").first().waitFor();
  await assertUsable(tab, "a file that is not taken");
  await photograph(tab, "not-taken");
  await tab.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  await tab.getByRole("heading", { name: "added" }).waitFor();
}
