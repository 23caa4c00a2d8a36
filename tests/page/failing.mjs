// A receiver that takes nothing is told, however seldom it is tried.

import { assert, assertHarmless, fill, play, visit } from "./browser.mjs";

/** What happened some minutes ago, whether events wait, and what is to be said of it. */
const CASES = [
  [{}, 0, "Enabled"],
  [{ 0: [5, 0] }, 3, "Enabled"],
  [{ 0: [0, 1] }, 1, "Failing"],
  [{ 2: [4, 1] }, 0, "Failing now and then"],
  [{ 8: [4, 1] }, 0, "Enabled"],
  [{ 2: [4, 1], 1: [5, 0], 0: [5, 0] }, 0, "Enabled"],
  [{ 2: [4, 1], 1: [5, 1], 0: [5, 0] }, 0, "Failing now and then"],
  [{ 3: [4, 1], 2: [0, 1] }, 1, "Failing"],
  [{ 40: [9, 0], 39: [0, 3] }, 7, "Failing"],
  [{ 40: [9, 0], 39: [0, 1] }, 0, "Enabled"],
  [{}, 7, "Events wait"],
];

await play(async (open) => {
  await fill();
  const tab = await open();
  await visit(tab, "webhooks");
  await tab.getByRole("heading", { name: "erp – Failing", exact: true }).waitFor();
  await tab.getByText("answered 503").first().waitFor();
  await tab.getByText("Nothing was delivered since mqhook was started.").first().waitFor();
  await tab.getByRole("status").getByText("Webhooks fail").waitFor();
  await tab.getByRole("heading", { name: "crm – Failing", exact: true }).waitFor();
  assert.equal(await tab.getByRole("heading", { name: /telemetry –/ }).count(), 0);

  for (const [past, waiting, expected] of CASES) {
    const { text } = await tab.evaluate(async ([past, waiting]) => {
      const { health } = await import("/ui/webhooks.js");
      const minutes = Array.from({ length: 60 }, (_, at) => {
        const [delivered, failed] = past[59 - at] ?? [0, 0];
        return { delivered, failed };
      });
      return health({ status: "enabled", waiting, minutes });
    }, [past, waiting]);
    assert.equal(text, expected, `${JSON.stringify(past)}, ${waiting} wait`);
  }
  await assertHarmless(tab);
});
