import assert from "node:assert/strict";
import { loadConfig } from "../lib/config.ts";
import type { Campaign } from "../lib/core/types.ts";
import {
  type Flow,
  nightlyRun,
  type Ran,
  ROOT,
  runDag,
  withFlow,
  withStores,
  writeRows,
} from "./fixtures/flow.ts";
import { message } from "./fixtures/rows.ts";

const END = { PARLEY_MISSING_CAMPAIGNS: "end" };

const offer = (id: string, more: object = {}) => ({ campaign_id: id, title: `Offer ${id}`, ...more });

/** Writes catalogues by file name, and runs the night over them and one file of messages. */
async function night(flow: Flow, catalogues: Record<string, readonly object[]>): Promise<Ran> {
  const campaigns = Object.entries(catalogues).map(([name, rows]) => writeRows(flow, name, rows));
  const messages = [writeRows(flow, "messages.ndjson", [{ ...message(), message_id: "m", user_id: "u" }])];
  const ran = await nightlyRun(flow, { campaigns, messages });
  assert.equal(ran.outcome, "success", ran.snapshot.tasks.flatMap(({ error }) => error ?? []).join("\n"));
  return ran;
}

/** The findings of the newest check about missing campaigns. */
async function leftBy({ runs }: Flow, dag_id = "nightly"): Promise<string[]> {
  const outputs = await runs.outputs({ dag_id, task_id: "check", since: "2000", limit: 9 });
  const { output } = outputs.find(({ state }) => state === "success")!;
  const { findings } = output as unknown as { findings: { code: string; text: string }[] };
  return findings.filter(({ code }) => code === "campaigns_left_source").map(({ text }) => text);
}

async function statuses({ services: { analytics } }: Flow): Promise<Record<string, Campaign["status"]>> {
  const rows = await analytics.campaignPage({ after: null, limit: 99 });
  return Object.fromEntries(rows.map(({ campaign_id, status }) => [campaign_id, status]));
}

const LEFT = (count: string, names: string) =>
  `${count} in no source any more and still shown, such as ${names}: give them the status "ended" in a source, or ` +
  "set PARLEY_MISSING_CAMPAIGNS=end, which ends what leaves its source";

Deno.test("campaigns that have left their source are reported night after night and shown on, until a source has them again", () =>
  withFlow(async (flow) => {
    await night(flow, {
      "a.ndjson": ["1", "2", "3", "4", "5"].map((id) => offer(id)),
      "b.ndjson": [offer("6")],
    });
    assert.deepEqual(await leftBy(flow), []);
    await night(flow, { "a.ndjson": [offer("1")], "b.ndjson": [offer("6"), offer("2")] });
    assert.deepEqual(await leftBy(flow), [LEFT("3 campaigns are", "3, 4, 5")], "2 has only moved");
    assert.deepEqual(new Set(Object.values(await statuses(flow))), new Set(["active"]));
    await runDag(flow, "reembed", { model: "test:32", drop_old: false });
    assert.deepEqual(await leftBy(flow, "reembed"), [LEFT("3 campaigns are", "3, 4, 5")]);
    await runDag(flow, "reembed", { model: "test:64", drop_old: false });
    await night(flow, {
      "a.ndjson": [offer("1"), offer("5")],
      "b.ndjson": [offer("6"), offer("2"), offer("3")],
    });
    assert.deepEqual(await leftBy(flow), [LEFT("1 campaign is", "4")]);
    const past = { status: "ended" };
    await night(flow, { "a.ndjson": [offer("1"), offer("5"), offer("4", past)], "b.ndjson": [offer("6")] });
    assert.deepEqual(await leftBy(flow), [LEFT("2 campaigns are", "2, 3")]);
  }));

Deno.test("PARLEY_MISSING_CAMPAIGNS=end ends campaigns that are missing from their source, and restores those that come back", () =>
  withFlow(async (flow) => {
    await night(flow, { "a.ndjson": [offer("1"), offer("2"), offer("3", { status: "paused" })] });
    const { snapshot } = await night(flow, { "a.ndjson": [offer("1")] });
    assert.deepEqual(await statuses(flow), { 1: "active", 2: "ended", 3: "ended" });
    assert.deepEqual(await leftBy(flow), []);
    const log = await flow.runs.logs({ run_id: snapshot.run.run_id, after: 0, limit: 200 });
    assert.ok(log.some(({ line }) => line === "2 campaigns ended, as no source has them any more"));
    await night(flow, { "a.ndjson": [offer("1"), offer("3", { status: "paused" })] });
    assert.deepEqual(await statuses(flow), { 1: "active", 2: "ended", 3: "paused" });
  }, END));

Deno.test("after PARLEY_MISSING_CAMPAIGNS has become end, a run over unchanged sources ends what left before, once", () =>
  withFlow(async (flow) => {
    await night(flow, { "a.ndjson": [offer("1"), offer("2")] });
    await night(flow, { "a.ndjson": [offer("1")] });
    const env = { PARLEY_EMBEDDINGS: "test:64", ...END, PARLEY_DATA: flow.config.data };
    await withStores(loadConfig(env, ROOT.slice(0, -1)), async (changed) => {
      const paths = { campaigns: [`${flow.input}/a.ndjson`] };
      const { outcome, snapshot } = await nightlyRun(changed, paths);
      assert.equal(outcome, "success");
      assert.deepEqual(await statuses(changed), { 1: "active", 2: "ended" });
      const log = await changed.runs.logs({ run_id: snapshot.run.run_id, after: 0, limit: 200 });
      const says =
        "PARLEY_MISSING_CAMPAIGNS was keep and is end: campaigns that have left their source are ended";
      assert.ok(log.some(({ line }) => line === says));
      const repeated = await nightlyRun(changed, paths);
      assert.equal(repeated.snapshot.tasks.find(({ task_id }) => task_id === "ingest")?.state, "skipped");
    });
  }));

Deno.test("PARLEY_MISSING_CAMPAIGNS=end ends no campaign of a file that is empty, missing or not given, and no refused one", () =>
  withFlow(async (flow) => {
    const [a, b, c] = [[offer("1"), offer("2")], [offer("3")], [offer("4")]];
    await night(flow, { "a.ndjson": a, "b.ndjson": b, "c.ndjson": c });
    Deno.removeSync(`${flow.input}/b.ndjson`);
    const bad = { campaign_id: "2", title: 7 };
    writeRows(flow, "c.ndjson", []);
    const campaigns = ["a", "b", "c"].map((name) => `${flow.input}/${name}.ndjson`);
    writeRows(flow, "a.ndjson", [offer("1"), bad]);
    await nightlyRun(flow, { campaigns });
    await night(flow, { "a.ndjson": [offer("1"), bad, offer("5")] });
    assert.deepEqual(await statuses(flow), {
      1: "active",
      2: "active",
      3: "active",
      4: "active",
      5: "active",
    });
    assert.deepEqual(await leftBy(flow), [
      `1 campaign is in no source any more and still shown, such as 4: ${flow.input}/c.ndjson has no campaigns any ` +
      'more: correct it if that is not meant; else give them the status "ended" in a source',
    ]);
    await night(flow, { "a.ndjson": [offer("1"), offer("2")], "c.ndjson": [offer("4")] });
    assert.deepEqual(await statuses(flow), {
      1: "active",
      2: "active",
      3: "active",
      4: "active",
      5: "ended",
    });
    assert.deepEqual(await leftBy(flow), []);
  }, END));

Deno.test("PARLEY_MISSING_CAMPAIGNS=end ends no campaign of a row of CSV that has a byte which is not UTF-8, or a cell too many", () =>
  withFlow(async (flow) => {
    const path = `${flow.input}/offers.csv`;
    const loaded = async (text: string) => {
      await Deno.writeFile(path, Uint8Array.from(text, (unit) => unit.charCodeAt(0)));
      assert.equal((await nightlyRun(flow, { campaigns: [path] })).outcome, "success");
    };
    await loaded("campaign_id,title\n1,One\n2,Two\n3,Three\n");
    await loaded("campaign_id,title\n1,One\n2,Tw\xe9\n3,Three,x\n");
    assert.deepEqual(await statuses(flow), { 1: "active", 2: "active", 3: "active" });
    await loaded("campaign_id,title\n1,One\n3,Three\n");
    assert.deepEqual(await statuses(flow), { 1: "active", 2: "ended", 3: "active" });
  }, END));
