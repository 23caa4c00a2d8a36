// Every section, on a phone and a desk, in light and dark; and on the narrowest phone.

import { api, assertHarmless, assertUsable, fill, photograph, play, publish, until, visit } from "./browser.mjs";

await play(async (open) => {
  const group = await api("POST", "/groups", { body: { name: "greenhouse", topics: ["sensors/#"], clients: ["boiler-*"] } });
  await fill();
  const { items } = await api("GET", "/webhooks");
  const attempt = await until("a rejection", async () => (await api("GET", "/deliveries?outcome=rejected")).items[0]);
  const sections = ["webhooks", "new-webhook", "deliveries", "events", "dead-letters", "devices", "groups", "new-group", "tokens",
    `webhooks/${items[0].id}`, `events/${attempt.event_id}`, `groups/${group.id}/edit`];
  const looks = [["light", 360, 740], ["dark", 360, 740], ["light", 1280, 800], ["dark", 1280, 800], ["light", 320, 600]];
  for (const [colorScheme, width, height] of looks) {
    const tab = await open({ colorScheme, viewport: { width, height } });
    for (const section of sections) {
      await visit(tab, section);
      if (section === "events") {
        await tab.getByText("Listening").waitFor();
        await publish("sensors/greenhouse/1/temperature", "21.5");
        await tab.locator("tbody tr").first().waitFor();
      }
      const name = `${section.split("/").map((part) => part.slice(0, 12)).join("-")}-${colorScheme}-${width}`;
      await photograph(tab, name);
      await assertUsable(tab, name);
    }
    await assertHarmless(tab);
    await tab.context().close();
  }
});
