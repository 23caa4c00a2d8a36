// mqhook goes and comes back; and refreshes take nothing from who is reading.

import { ask, assert, assertHarmless, assertUsable, fill, photograph, play, publish, visit } from "./browser.mjs";

await play(async (open) => {
  await fill();
  const tab = await open();
  await visit(tab, "deliveries");
  await keepsItsPlace(tab);

  await visit(tab, "webhooks");
  await tab.getByRole("link", { name: "erp" }).first().waitFor();
  await tab.getByRole("status").getByText(/Ready|Webhooks fail/).waitFor();
  await ask("kill");
  await tab.getByText("mqhook does not answer").waitFor();
  await tab.getByText("No connection").waitFor();
  assert.equal(await tab.getByRole("link", { name: "telemetry" }).count() > 0, true, "what was known stays");
  await assertUsable(tab, "a lost connection");
  await photograph(tab, "lost");
  await ask("start");
  await tab.getByText("Connected again").waitFor({ timeout: 40_000 });
  assert.equal(await tab.getByText("mqhook does not answer").count(), 0);

  await visit(tab, "events");
  await tab.getByText("Listening").waitFor();
  await ask("kill");
  await tab.getByText("Lost; trying again").waitFor();
  await ask("start");
  await tab.getByText("Listening").waitFor({ timeout: 40_000 });
  await publish("sensors/9", "1");
  await tab.getByText("sensors/9").first().waitFor();
  await assertHarmless(tab);

  await ask("kill");
  const early = await open();
  await early.route("**/whoami", (route) => route.abort(), { times: 1 });
  await ask("start");
  await early.goto(tab.url());
  await early.getByText("mqhook does not answer").waitFor();
  await early.getByText("Connected again").waitFor();
  await early.getByText("Listening").waitFor();
});

/** New rows come above; what has the focus, is open or half typed stays as it is. */
async function keepsItsPlace(tab) {
  const details = tab.locator("tbody details").first();
  await details.locator("summary").click();
  const key = await details.evaluate((node) => node.closest("tr").dataset.key);
  await tab.getByLabel("Topic").fill("half ty");
  const row = tab.locator("tbody tr", { has: tab.locator("details[open]") });
  await row.getByRole("button", { name: /^Replay/ }).focus();
  const before = await tab.locator("tbody tr").count();
  await publish("sensors/new", "1");
  await tab.waitForFunction((count) => document.querySelectorAll("tbody tr").length > count, before);
  const focused = await tab.evaluate(() => document.activeElement.closest("tr")?.dataset.key);
  assert.equal(focused, key, "the focus stays in its row");
  assert.equal(await row.count(), 1, "what was open is open");
  assert.equal(await tab.getByLabel("Topic").inputValue(), "half ty");
}
