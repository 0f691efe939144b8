import assert from "node:assert/strict";
import { iso } from "../../lib/core/clock.ts";
import { addRun } from "../fixtures/runs.ts";
import { nightlyRun, SAMPLE, writeRows } from "../fixtures/flow.ts";
import { LOOKS } from "./browser.ts";
import { browserTest, look } from "./site.ts";

const DAY = 86_400_000;
const USER = "jonas-ekdahl";

for (const { name, options } of LOOKS.filter(({ options }) => options.colorScheme === "light")) {
  browserTest(`pages of data are sound with history in them (${name})`, async ({ flow, origin, open }) => {
    const { page } = await open(options);
    for (let n = 20; n >= 1; n--) {
      const at = Date.now() - n * DAY;
      const rows = n === 1 ? 90 : 1_000 + 10 * (n % 3);
      await addRun(flow.runs, { dag_id: "reembed", run_id: `r${n}`, at, task_id: "embed", rows });
    }
    const bad = { user_id: "ann", message: "hi", timestamp: "soon" };
    const good = { user_id: "ann", message: "hi", timestamp: iso(Date.now() - DAY) };
    const mixed = writeRows(flow, "mixed.ndjson", [
      bad,
      ...Array.from({ length: 9 }, (_, i) => ({ ...good, message: `hi ${i}` })),
    ]);
    const events = Array.from({ length: 40 }, (_, i) => ({
      user_id: `u${i}`,
      campaign_id: "flour-club",
      type: i % 4 === 0 ? "click" : "impression",
      timestamp: iso(Date.now() - DAY - i * 1_000),
    }));
    await nightlyRun(flow, {
      messages: [...SAMPLE.messages, mixed],
      campaigns: SAMPLE.campaigns,
      events: [...SAMPLE.events, writeRows(flow, "events.ndjson", events)],
    });
    for (const path of ["/data", "/data/quarantine", "/anomalies", "/engagement?days=7", "/stores"]) {
      await look(page, origin + path);
    }
    await look(page, `${origin}/explain?user_id=${USER}`);
  });
}

browserTest(
  "a user is entered, explained, and those alike are a click away",
  async ({ flow, origin, open }) => {
    await nightlyRun(flow, SAMPLE);
    const { page } = await open();
    await page.goto(`${origin}/explain`);
    await page.getByRole("textbox", { name: "User" }).fill(USER);
    await page.keyboard.press("Enter");
    await page.waitForURL(`${origin}/explain?user_id=${USER}&k=10`);
    const api = await (await fetch(`${origin}/recommendations/${USER}`)).json();
    const shown = JSON.parse(await page.locator("pre.json").textContent() ?? "");
    assert.deepEqual(shown.items, api.items);
    assert.ok(await page.locator("#how-this-answer-was-made .node").count() > 3);
    const other = page.locator("#similar tbody th a").first();
    const name = await other.textContent();
    await other.click();
    assert.equal(await page.getByRole("textbox", { name: "User" }).inputValue(), name);
  },
);

browserTest("a refused row's text is shown on a click, and by no address", async ({ flow, origin, open }) => {
  const rows = Array.from({ length: 9 }, (_, i) => ({
    user_id: "ann",
    message: `hello ${i}`,
    timestamp: "2026-05-01T10:00:00Z",
  }));
  const bad = { user_id: "ann", message: "a secret", timestamp: "soon" };
  await nightlyRun(flow, { messages: [writeRows(flow, "mixed.ndjson", [...rows, bad])] });
  const { page } = await open();
  await page.goto(`${origin}/data`);
  await page.getByRole("link", { name: "See them, each with its reason" }).click();
  assert.doesNotMatch(await page.content(), /a secret/);
  await page.getByRole("button", { name: "Show its text" }).click();
  await page.getByText("a secret").waitFor();
  assert.equal(page.url(), `${origin}/data/quarantine`);
});

browserTest("a dataset leads to its uses", async ({ flow, origin, open }) => {
  await nightlyRun(flow, SAMPLE);
  const { page } = await open();
  await page.goto(`${origin}/data`);
  await page.locator("#datasets").getByRole("link", { name: "analytics.db/events" }).click();
  await page.locator("#dataset").getByText("writes").first().waitFor();
  assert.match(await page.locator("#uses").textContent() ?? "", /1,500/);
});
