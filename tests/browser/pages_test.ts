import assert from "node:assert/strict";
import { builtInDags } from "../../commands/engine.ts";
import { type Flow, nightlyRun, runDag, SAMPLE, writeRows } from "../fixtures/flow.ts";
import { LOOKS } from "./browser.ts";
import { browserTest, look, serious } from "./site.ts";

/** Every path that a page without figures and one with them can have. */
const PATHS = [
  "/",
  "/pipelines",
  "/pipelines/nightly",
  "/runs",
  "/runs?state=failed",
  "/data",
  "/data/quarantine",
  "/anomalies",
  "/campaigns",
  "/campaigns?q=trail&status=active",
  "/campaigns/trail-shoes-grip?days=365",
  "/engagement?days=365",
  "/evaluation",
  "/experiments",
  "/explain",
  "/explain?user_id=nobody",
  "/playground",
  "/stores",
  "/nowhere",
];
/** How many tasks the nightly dag has. */
const tasksOf = ({ config }: Flow) => builtInDags(config).get("nightly")!.tasks.length;
const EXPECTED = /status of 404/;

browserTest("every page is sound while there is nothing to show", async ({ origin, open }) => {
  const { page } = await open(LOOKS[0]?.options);
  for (const path of PATHS) await look(page, origin + path);
}, { expected: EXPECTED });

for (const { name, options } of LOOKS.filter(({ options }) => options.colorScheme === "light")) {
  browserTest(
    `every page is sound, light and dark (${name.replace("-light", "")})`,
    async ({ flow, origin, open }) => {
      const { page } = await open(options);
      const bad = writeRows(flow, "bad.ndjson", [{ user_id: 7 }, { user_id: 8 }]);
      const { snapshot: { run } } = await nightlyRun(flow, SAMPLE);
      const { snapshot: failed } = await nightlyRun(flow, { messages: [bad] });
      const { outcome } = await runDag(flow, "evaluate", { ...SAMPLE, split: "last" });
      assert.equal(outcome, "success");
      assert.equal(failed.run.state, "failed");
      const paths = [...PATHS, `/runs/${run.run_id}`, `/runs/${failed.run.run_id}`];
      for (const path of paths) await look(page, origin + path);
    },
    { expected: EXPECTED },
  );
}

browserTest(
  "weights are tried in the playground, next to the answer of now",
  async ({ flow, origin, open }) => {
    const { page } = await open();
    await nightlyRun(flow, SAMPLE);
    await page.goto(`${origin}/playground`);
    await page.getByLabel("Conversation", { exact: true }).fill(
      "I want to learn to bake bread\nsourdough if possible",
    );
    await page.getByRole("button", { name: "Compare" }).click();
    await page.getByText("the same", { exact: true }).waitFor();
    const first = () => page.locator("#compared tbody tr").first().locator("th").textContent();
    const before = await first();
    for (
      const source of [
        "similar conversations",
        "similar words",
        "intents",
        "similarity",
        "named",
        "co-engagement",
      ]
    ) {
      await page.getByLabel(source, { exact: true }).fill("0");
    }
    await page.getByRole("button", { name: "Compare" }).click();
    await page.getByText("by place with these weights").waitFor();
    assert.notEqual(await first(), before);
    assert.equal(
      await page.getByLabel("Conversation", { exact: true }).inputValue(),
      "I want to learn to bake bread\nsourdough if possible",
    );
    assert.deepEqual(await serious(page), []);
  },
);

browserTest(
  "a run is queued by its form and watched live until it succeeds",
  async ({ flow, origin, open, work }) => {
    const { page } = await open();
    for (const [kind, paths] of Object.entries(SAMPLE)) {
      for (const path of paths) {
        await Deno.copyFile(path, `${flow.input}/inbox/${kind}${/\.[^.]+$/.exec(path)![0]}`);
      }
    }
    await page.goto(`${origin}/pipelines/nightly`);
    assert.match(await page.textContent(".warning") ?? "", /No scheduler is running/);
    for (const kind of Object.keys(SAMPLE)) {
      await page.locator(`#param-${kind} input[value*="/inbox/${kind}."]`).check();
    }
    await page.getByRole("button", { name: "Queue a run" }).click();
    await page.getByText("The run is queued.").waitFor();
    await page.locator("#summary .state", { hasText: "queued" }).waitFor();
    await page.locator("#live[data-state=live]").waitFor();
    await page.evaluate(() => Object.assign(globalThis, { untouched: true }));
    await work();
    await page.locator("#summary .state", { hasText: "success" }).waitFor({ timeout: 20_000 });
    await page.locator("#log li", { hasText: "data version 1 is published" }).waitFor({ timeout: 20_000 });
    assert.equal(await page.evaluate(() => "untouched" in globalThis), true, "without loading it again");
    assert.equal(await page.locator("#timeline .bar").count(), tasksOf(flow));
    assert.ok(await page.locator("#lineage .node").count() > 10);
    await page.locator("#live[data-state=over]").waitFor({ timeout: 20_000 });
  },
);

browserTest(
  "a failing run is inspected, fixed, and retried until it is green",
  async ({ flow, origin, open, work }) => {
    const messages = writeRows(flow, "inbox/messages.ndjson", [{ user_id: 7 }, { user_id: 8 }]);
    const { page } = await open();
    await page.goto(`${origin}/pipelines/nightly`);
    await page.locator(`#param-messages input[value="${messages}"]`).check();
    await page.getByRole("button", { name: "Queue a run" }).click();
    await work();
    await page.locator("#summary .error").waitFor({ timeout: 20_000 });
    assert.match(await page.textContent("#summary .error") ?? "", /validate: .*bad/);
    await page.getByRole("link", { name: "Log of validate, attempt 1" }).click();
    await page.locator("#log li", { hasText: "quarantined" }).waitFor();
    assert.deepEqual([...new Set(await page.locator("#log .who").allTextContents())], ["validate/1"]);
    const row = { user_id: "ann", message: "hello", timestamp: "2026-05-01T10:00:00Z" };
    writeRows(flow, "inbox/messages.ndjson", [row]);
    const ingest = page.locator("#task-table tr", { has: page.locator("#task-ingest") });
    await ingest.getByRole("button", { name: "Retry from here" }).click();
    await page.getByText(`${tasksOf(flow)} tasks will run again.`).waitFor();
    await work();
    await page.locator("#summary .state", { hasText: "success" }).waitFor({ timeout: 20_000 });
    // ingest and validate were tried before.
    assert.equal(await page.locator("#tasks .attempts li").count(), 2 + tasksOf(flow));
  },
);

browserTest("a page that is followed finds the service again", async ({ origin, open, work, without }) => {
  const { page } = await open();
  await page.goto(`${origin}/pipelines/nightly`);
  await page.getByRole("button", { name: "Queue a run" }).click();
  await page.locator("#live[data-state=live]").waitFor();
  await without(() => page.locator("#live[data-state=lost]").waitFor());
  await page.locator("#live[data-state=live]").waitFor();
  await work();
  await page.locator("#summary .state", { hasText: "skipped" }).waitFor();
}, { expected: /ERR_/ });

browserTest("a queued run is cancelled", async ({ origin, open }) => {
  const { page } = await open();
  await page.goto(`${origin}/pipelines/nightly`);
  await page.getByRole("button", { name: "Queue a run" }).click();
  await page.getByRole("button", { name: "Cancel the run" }).click();
  await page.locator("#summary .state", { hasText: "cancelled" }).waitFor();
});

browserTest("a schedule is paused, and past nights are made up for", async ({ flow, origin, open }) => {
  const { page } = await open();
  await page.goto(`${origin}/pipelines/nightly`);
  await page.getByRole("button", { name: "Pause the schedule" }).click();
  await page.getByText("The schedule is paused: it starts no runs").waitFor();
  const backfill = page.locator("details", { hasText: "Backfill: create the runs" });
  await backfill.locator("summary").click();
  await backfill.getByLabel("From").fill("2026-05-01");
  await backfill.getByLabel("To, inclusive").fill("2026-05-03");
  await backfill.getByRole("button", { name: "Queue them" }).click();
  await page.getByText("3 runs queued.").waitFor();
  assert.equal(await page.locator("#grid tbody tr").count(), 3);
  await page.locator("#backfills tbody tr").getByRole("button", { name: "Cancel" }).click();
  await page.getByText("3 runs of the backfill cancelled.").waitFor();
  await page.goto(`${origin}/pipelines/nightly`);
  await page.getByRole("link", { name: "Only what failed" }).click();
  await page.locator("#grid", { hasText: "There are no such runs." }).waitFor();
  const made = await flow.runs.runs({ limit: 9 });
  assert.deepEqual(made.map(({ logical_date }) => logical_date.slice(0, 16)).sort(), [
    "2026-05-01T02:30",
    "2026-05-02T02:30",
    "2026-05-03T02:30",
  ]);
});

browserTest("everything can be reached by keyboard", async ({ origin, open }) => {
  const { page } = await open();
  await page.goto(`${origin}/`);
  const focused = () => page.evaluate('document.activeElement?.textContent?.trim() ?? ""');
  await page.keyboard.press("Tab");
  assert.equal(await focused(), "Skip to the content");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate("document.activeElement?.id"), "main");
  await page.goto(`${origin}/`);
  while (await focused() !== "Pipelines") await page.keyboard.press("Tab");
  const ring = await page.evaluate("getComputedStyle(document.activeElement).outlineWidth");
  assert.equal(ring, "3px");
  await page.keyboard.press("Enter");
  await page.waitForURL(`${origin}/pipelines`);
  while (await focused() !== "nightly") await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.waitForURL(`${origin}/pipelines/nightly`);
  while (await focused() !== "Queue a run") await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.getByText("The run is queued.").waitFor();
});

browserTest(
  "times are the viewer's, with UTC on hover; tables sort by a link that can be shared",
  async (o) => {
    await nightlyRun(o.flow, SAMPLE);
    const { page } = await o.open({ timezoneId: "Asia/Tokyo" });
    await page.goto(`${o.origin}/runs`);
    const time = page.locator("#runs time[data-as=full]").first();
    const at = new Date(await time.getAttribute("datetime") ?? "");
    const options = { dateStyle: "medium", timeStyle: "short", timeZone: "Asia/Tokyo" } as const;
    assert.equal(await time.textContent(), new Intl.DateTimeFormat("en-GB", options).format(at));
    assert.equal(await time.getAttribute("title"), `${at.toISOString().slice(0, 19).replace("T", " ")} UTC`);
    await page.getByRole("link", { name: "Took" }).click();
    await page.waitForURL(`${o.origin}/runs?runs-sort=lasted#runs`);
    assert.equal(await page.locator("th[aria-sort=ascending]").textContent(), "Took");
  },
);

browserTest("a theme that is chosen stays", async ({ origin, open }) => {
  const { page } = await open({ colorScheme: "light" });
  await page.goto(`${origin}/`);
  const ground = () => page.evaluate("getComputedStyle(document.body).backgroundColor");
  const light = await ground();
  await page.getByRole("button", { name: "Theme: system" }).click();
  await page.getByRole("button", { name: "Theme: light" }).click();
  const dark = await ground();
  assert.notEqual(dark, light);
  await page.goto(`${origin}/runs`);
  assert.equal(await ground(), dark);
});

browserTest("pages are whole without scripts", async ({ flow, origin, open }) => {
  const { snapshot: { run } } = await nightlyRun(flow, SAMPLE);
  const { page } = await open({ javaScriptEnabled: false });
  await page.goto(`${origin}/runs/${run.run_id}`);
  assert.match(await page.textContent("#log") ?? "", /data version 1 is published/);
  assert.match(await page.locator("time[data-as=full]").first().textContent() ?? "", / UTC$/);
  await page.locator("#task").selectOption("publish");
  await page.getByRole("button", { name: "Show" }).click();
  assert.equal(await page.locator("#log li").count(), 1);
});

const KEYS = [{ key: "read-key-of-16-chars", scopes: ["read"] }, {
  key: "admin-key-of-16-chars",
  scopes: ["read", "admin"],
}] as const;

browserTest("with keys one logs in, sees what the key allows, and logs out", async ({ origin, open }) => {
  const { page, context } = await open();
  const logIn = async (key: string) => {
    await page.getByLabel("API key").fill(key);
    await page.getByRole("button", { name: "Log in" }).click();
  };
  await page.goto(`${origin}/pipelines/nightly`);
  assert.deepEqual(await serious(page), []);
  await logIn("not-a-key-of-this-service");
  await page.getByRole("alert").waitFor();
  await logIn(KEYS[0].key);
  await page.waitForURL(`${origin}/pipelines/nightly`);
  assert.equal(await page.getByRole("button", { name: "Queue a run" }).isDisabled(), true);
  const [cookie] = await context.cookies();
  assert.deepEqual([cookie?.httpOnly, cookie?.sameSite], [true, "Strict"]);
  await page.getByRole("button", { name: "Log out" }).click();
  await page.waitForURL(`${origin}/login`);
  await logIn(KEYS[1].key);
  await page.waitForURL(`${origin}/`);
  await page.goto(`${origin}/pipelines/nightly`);
  await page.getByRole("button", { name: "Queue a run" }).click();
  await page.getByText("The run is queued.").waitFor();
}, { keys: KEYS, expected: /status of 401/ });
