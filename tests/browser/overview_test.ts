import assert from "node:assert/strict";
import { iso } from "../../lib/core/clock.ts";
import { type Flow, nightlyRun, SAMPLE, writeRows } from "../fixtures/flow.ts";
import { leadAt, runOf } from "../fixtures/runs.ts";
import { newTask } from "../../lib/dag/state.ts";
import { LOOKS } from "./browser.ts";
import { browserTest, look, type Opened } from "./site.ts";

const HOUR = 3_600_000;

/** Loads the sample while a scheduler is alive: then everything is fine. */
async function load({ flow }: Opened): Promise<void> {
  await leadAt(flow.runs, Date.now());
  await nightlyRun(flow, SAMPLE);
}

/** How each state comes about, and what the banner then says. */
const STATES: Readonly<
  Record<string, { make: (opened: Opened) => Promise<unknown>; look: string; lead: RegExp; next: RegExp }>
> = {
  "never run": {
    make: () => Promise.resolve(),
    look: "off",
    lead: /^Nothing has run yet\.$/,
    next: /deno task pipeline.*loads your sources/,
  },
  "fine": {
    make: load,
    look: "good",
    lead: /^Everything is fine\.$/,
    next: /The last run of nightly succeeded at/,
  },
  "nothing new": {
    make: async (opened) => {
      await load(opened);
      await nightlyRun(opened.flow, SAMPLE);
    },
    look: "off",
    lead: /^Nothing new: every source is unchanged\.$/,
    next: /The run of nightly at .* had nothing to do.*Open the run/,
  },
  "source gone": {
    make: async (opened) => {
      await load(opened);
      await nightlyRun(opened.flow, {
        ...SAMPLE,
        messages: [...SAMPLE.messages, `${opened.flow.config.inbox}/chats.ndjson`],
      });
    },
    look: "bad",
    lead: /^A source of messages cannot be read: .*chats\.ndjson does not exist\.$/,
    next: /deno task pipeline.*Open the run/,
  },
  "failed": {
    make: async (opened) => {
      await load(opened);
      await nightlyRun(opened.flow, { messages: [writeRows(opened.flow, "bad.ndjson", [{ user_id: 7 }])] });
    },
    look: "bad",
    lead:
      /^The last run of nightly failed at validate: all rows are bad, 1 of them, so no store was written\.$/,
    next: /deno task pipeline quarantine.*deno task pipeline logs.*Open the run/i,
  },
  "late": {
    make: async (opened) => {
      await load(opened);
      await scheduledRun(opened.flow, Date.now() - 50 * HOUR);
    },
    look: "bad",
    lead: /^A run of nightly is late: it was due at .* and has not started\.$/,
    next: /catch up by deno task pipeline run nightly/,
  },
  "scheduler dead": {
    make: async (opened) => {
      await nightlyRun(opened.flow, SAMPLE);
      await opened.flow.runs.lead({ owner: "gone", now: Date.now() - HOUR, ttl_ms: 15_000, lag_ms: 0 });
    },
    look: "bad",
    lead: /^No scheduler is running, so no run starts by itself\.$/,
    next: /The last sign of one is from .*deno task schedule/,
  },
  "store down": {
    make: async (opened) => {
      await load(opened);
      await opened.without(() =>
        Deno.rename(`${opened.flow.config.data}/graph.db`, `${opened.flow.config.data}/gone.db`)
      );
    },
    look: "bad",
    lead: /^The graph store does not answer\.$/,
    next: /graph\.db.*deno task doctor/,
  },
};

async function scheduledRun({ runs }: Flow, at: number): Promise<void> {
  const times = { logical_date: iso(at), created_at: iso(at) };
  const run = runOf("scheduled", {
    dag_id: "nightly",
    trigger: "schedule",
    occurrence: "nightly|1",
    ...times,
  });
  await runs.create({ run, tasks: [newTask("ingest")] });
  const ended = { state: "success", started_at: iso(at), ended_at: iso(at + 1), error: null } as const;
  await runs.revise({ run_id: "scheduled", now: at, plan: () => ({ run: ended, tasks: [] }) });
}

/** Where the pictures of the states go; none without. */
const PICTURES = Deno.env.get("PARLEY_TEST_PICTURES");

for (const [name, { make, look: wanted, lead, next }] of Object.entries(STATES)) {
  browserTest(`the overview says so at a glance: ${name}`, async (opened) => {
    await make(opened);
    for (const { name: how, options } of LOOKS.filter(({ name }) => /desktop-light|phone-dark/.test(name))) {
      const { page } = await opened.open(options);
      await look(page, `${opened.origin}/`);
      const banner = page.locator("#health .status-banner");
      assert.match(await banner.getAttribute("class") ?? "", new RegExp(`is-${wanted}$`));
      assert.match(await banner.locator(".lead").innerText(), lead);
      assert.match((await banner.locator("div").first().innerText()).replaceAll("\n", " "), next);
      const box = await banner.boundingBox();
      assert.ok(
        box !== null && box.y + box.height <= options.viewport!.height,
        "it is seen without scrolling",
      );
      if (PICTURES !== undefined) {
        await page.emulateMedia({ colorScheme: options.colorScheme ?? null });
        await page.screenshot({ path: `${PICTURES}/${name.replaceAll(" ", "-")}-${how}.png` });
      }
    }
  });
}

browserTest("an anomaly is acknowledged on its page, and counts again on a click", async (opened) => {
  await STATES["failed"]!.make(opened);
  const { page } = await opened.open(LOOKS[0]?.options);
  await page.goto(`${opened.origin}/anomalies`);
  await page.getByText("Acknowledge", { exact: true }).first().click();
  await page.getByLabel("Your name (optional)").first().fill("Ann");
  await page.getByRole("button", { name: "Acknowledge" }).first().click();
  await page.getByText("by Ann on").waitFor();
  if (PICTURES !== undefined) await page.screenshot({ path: `${PICTURES}/acknowledged.png`, fullPage: true });
  await look(page, `${opened.origin}/`);
  await page.getByText("Known and acknowledged: The last run of nightly failed").waitFor();
  if (PICTURES !== undefined) await page.screenshot({ path: `${PICTURES}/acknowledged-overview.png` });
  await look(page, `${opened.origin}/anomalies`);
  await page.getByRole("button", { name: "Count it again" }).click();
  await page.getByText("It counts again.").waitFor();
  await page.goto(opened.origin);
  await page.locator("#health .is-bad").waitFor();
});
