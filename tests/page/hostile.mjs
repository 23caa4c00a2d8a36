// Names that would do harm if anything took them for markup.

import { HOSTILE, api, assert, assertHarmless, connect, fill, page, photograph, play, publish, until, visit } from "./browser.mjs";

await play(async (open) => {
  await fill(HOSTILE, `sensors/${HOSTILE}`);
  await connect("javascript:window.hacked=1", '"><script>window.hacked=1</script>');
  await publish(`contacts/${HOSTILE}`, HOSTILE);
  await until("two dead letters", async () => (await api("GET", "/dead-letters")).items.length === 2);
  const tab = await open();
  await assertPolicy();

  await visit(tab, "devices");
  await tab.getByText(HOSTILE, { exact: true }).first().waitFor();
  await tab.getByText('"><script>').first().waitFor();
  await photograph(tab, "hostile-devices");

  await visit(tab, "deliveries");
  await tab.getByText(`sensors/${HOSTILE}`).first().waitFor();
  for (const summary of await tab.locator("tbody summary").all()) await summary.click();
  await tab.getByText("<script>window.hacked=1</script>").first().waitFor();
  await photograph(tab, "hostile-deliveries");
  await tab.getByRole("row").filter({ hasText: `sensors/${HOSTILE}` }).getByRole("link", { name: "Message published" }).click();
  await tab.getByRole("heading", { name: "Event", exact: true }).waitFor();
  await tab.getByText(`sensors/${HOSTILE}`).first().waitFor();

  await visit(tab, "dead-letters");
  await tab.getByText(`contacts/${HOSTILE}`).first().waitFor();
  await tab.getByRole("row").filter({ hasText: `contacts/${HOSTILE}` }).getByRole("button", { name: /^Show/ }).click();
  await tab.getByRole("dialog").getByText("onerror").first().waitFor();
  await tab.keyboard.press("Escape");

  await visit(tab, "events?payload=1");
  await tab.getByText("Listening").waitFor();
  await publish(`sensors/${HOSTILE}`, HOSTILE);
  await tab.getByText(`sensors/${HOSTILE}`).first().waitFor();
  await tab.locator("tbody pre", { hasText: HOSTILE }).first().waitFor();

  for (const address of [`webhooks/${encodeURIComponent(HOSTILE)}`, `deliveries?topic=${encodeURIComponent(HOSTILE)}`, "webhooks/%zz", "..%2f..%2fstatus/x/y"]) {
    await visit(tab, address);
    await assertHarmless(tab);
  }
  assert.equal(await tab.locator("main img, main script, main iframe").count(), 0);
});

/** Everything the page is made of comes with the policy, and can be framed by nobody. */
async function assertPolicy() {
  const html = await (await fetch(page)).text();
  const files = ["/", ...[...html.matchAll(/(?:src|href)="(\/ui\/[^"]+)"/g)].map((match) => match[1])];
  assert.ok(files.length > 3, "the page names its files");
  assert.doesNotMatch(html, /<style|style=|<script>| on[a-z]+=/, "nothing is inline");
  for (const file of files) {
    const { status, headers } = await fetch(page + file);
    assert.equal(status, 200, file);
    const policy = headers.get("content-security-policy");
    for (const part of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'", "connect-src 'self'",
      "form-action 'none'", "frame-ancestors 'none'", "base-uri 'none'", "require-trusted-types-for 'script'"]) {
      assert.ok(policy.includes(part), `${file}: ${policy}`);
    }
    assert.equal(headers.get("x-content-type-options"), "nosniff");
    assert.equal(headers.get("referrer-policy"), "no-referrer");
    assert.equal(headers.get("cross-origin-opener-policy"), "same-origin");
    assert.equal(headers.get("cross-origin-resource-policy"), "same-origin");
    const again = await fetch(page + file, { headers: { "if-none-match": headers.get("etag") } });
    assert.equal(again.status, 304, `${file} is not sent twice`);
  }
  assert.equal((await fetch(`${page}/ui/..%2fCargo.toml`)).status, 404);
}
