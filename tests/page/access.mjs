// Logging in and out, and what each role finds.

import { api, assert, assertHarmless, assertUsable, fill, photograph, play, visit } from "./browser.mjs";

await play(async (open) => {
  await fill();
  const admin = (await api("POST", "/tokens", { body: { name: "root", role: "admin" } })).token;
  const token = async (role, more = {}) => (await api("POST", "/tokens", { token: admin, body: { name: `a-${role}`, role, ...more } })).token;
  const tab = await open();

  await tab.goto(await address("deliveries"));
  await tab.getByRole("heading", { name: "Log in" }).waitFor();
  assert.equal(await tab.getByRole("navigation").getByRole("link").count(), 0, "nothing is offered to who is not known");
  await assertUsable(tab, "the login");
  await photograph(tab, "login");
  await logIn(tab, `mqh_${"x".repeat(43)}`);
  await tab.getByText("This token is not known.").waitFor();
  assert.equal(await tab.evaluate(() => document.activeElement.id), "token", "one can write again at once");

  await logIn(tab, await token("viewer"));
  await tab.getByRole("heading", { name: "Deliveries" }).waitFor();
  await tab.getByText("a-viewer (viewer)").waitFor();
  const acts = /^(enable|disable|test|edit|delete|replay|drop|remove|new|make|publish|reload|choose|save)/i;
  for (const section of ["webhooks", "webhooks/telemetry", "deliveries", "events", "dead-letters", "devices", "groups"]) {
    await visit(tab, section);
    for (const role of ["button", "link", "checkbox"]) {
      assert.deepEqual(await tab.locator("main").getByRole(role, { name: acts }).allTextContents(), [], `a viewer in ${section}`);
    }
  }
  assert.equal(await tab.getByRole("link", { name: "Tokens" }).count(), 0);

  await tab.reload();
  await tab.getByText("a-viewer (viewer)").waitFor();
  assert.equal(await tab.evaluate(() => document.cookie), "", "a token is no cookie");
  const other = await tab.context().newPage();
  await other.goto(await address("webhooks"));
  await other.getByRole("heading", { name: "Log in" }).waitFor();
  await other.close();

  await tab.getByRole("button", { name: "Log out" }).click();
  await tab.getByText("You are logged out").waitFor();
  assert.equal(await tab.evaluate(() => sessionStorage.length), 0, "nothing of the token is left");

  await logIn(tab, await token("operator"));
  await visit(tab, "deliveries");
  await tab.getByRole("button", { name: /^Replay/ }).first().waitFor();
  await visit(tab, "webhooks/telemetry");
  await tab.getByRole("button", { name: "Test telemetry" }).waitFor();
  assert.equal(await tab.getByRole("link", { name: "Edit" }).count(), 0);
  await tab.getByRole("button", { name: "Log out" }).click();

  await logIn(tab, await token("operator", { name: "a-partner", webhook: "telemetry" }));
  await tab.getByText("a-partner (operator)").waitFor();
  for (const section of ["webhooks", "deliveries", "dead-letters", "events", "webhooks/erp", "devices", "groups"]) {
    await visit(tab, section);
    await photograph(tab, `limited-${section.replace("/", "-")}`);
    const text = await tab.locator("main").innerText();
    assert.ok(!/orders|contacts|crm/.test(text), `of other webhooks in ${section}: ${text}`);
  }
  await visit(tab, "webhooks");
  assert.equal(await tab.getByRole("link", { name: "Devices" }).count(), 0, "what it may not see is not offered");
  assert.deepEqual(await tab.locator("main h2 a").allTextContents(), ["telemetry"]);
  await tab.getByRole("button", { name: "Test telemetry" }).click();
  await tab.getByRole("dialog").getByText("Delivered").waitFor();
  await tab.keyboard.press("Escape");
  await tab.getByRole("button", { name: "Log out" }).click();

  await logIn(tab, await token("publisher"));
  await tab.getByText("This token may publish events, and see nothing").waitFor();

  await logIn(tab, admin);
  await visit(tab, "tokens");
  await tab.getByRole("row").filter({ hasText: "a-operator" }).getByRole("button", { name: "Remove" }).click();
  await tab.getByRole("dialog").getByRole("button", { name: "Remove" }).click();
  await tab.getByText("a-operator is removed").waitFor();
  await tab.getByLabel("Name").fill("night-shift");
  await tab.getByLabel("Role").selectOption("operator");
  await tab.getByRole("button", { name: "Make the token" }).click();
  const made = await tab.getByRole("dialog").getByRole("textbox").inputValue();
  assert.match(made, /^mqh_/);
  await tab.getByRole("button", { name: "Done" }).click();
  await tab.getByRole("row").filter({ hasText: "night-shift" }).waitFor();
  assert.ok(!(await tab.content()).includes(made), "it is shown once");
  const { items } = await api("GET", "/tokens", { token: admin });
  await api("DELETE", `/tokens/${items.find((item) => item.name === "root").id}`, { token: admin });
  await tab.getByText("Your token is not known here (any more)").waitFor();
  await assertHarmless(tab);
});

async function address(section) {
  const { page } = await import("./browser.mjs");
  return `${page}/#/${section}`;
}

async function logIn(tab, token) {
  await tab.getByLabel("Token").fill(token);
  await tab.getByRole("button", { name: "Log in" }).click();
}
