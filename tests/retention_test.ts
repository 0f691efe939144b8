import assert from "node:assert/strict";
import { pruneRuns } from "../commands/control.ts";
import { builtInDags, engine, executeQueued } from "../commands/engine.ts";
import { DAY_MS, iso } from "../lib/core/clock.ts";
import { createRun } from "../lib/dag/runs.ts";
import { filesUnder } from "../lib/stores/artifacts/files/walk.ts";
import { answersOf } from "./fixtures/answers.ts";
import { digests, type Flow, type Paths, withFlow, writeRows } from "./fixtures/flow.ts";
import { quietly } from "./fixtures/quietly.ts";

/** Runs the nightly dag as it ran so many days ago, and gives its id. */
async function runAgo(flow: Flow, days: number, paths: Paths): Promise<string> {
  const clock = { now: () => Date.now() - days * DAY_MS };
  const { config, runs } = flow;
  const services = { ...flow.services, clock };
  const params = { messages: [], campaigns: [], events: [], ...paths };
  const { run_id } = await createRun({ dag: builtInDags(config).get("nightly")!, runs, clock, params });
  const options = { ...engine({ config, runs, services }), clock };
  assert.equal(await executeQueued(options, new AbortController().signal, { until: run_id }), "success");
  await runs.addAuditEntry({
    at: iso(clock.now()),
    request_id: "r",
    by: "open",
    method: "POST",
    route: "/pipeline/runs",
    status: 201,
    user_hash: null,
    facts: { run_id },
  });
  const at = new Date(clock.now());
  for await (const path of filesUnder(`${config.data}/artifacts/${run_id}`)) await Deno.utime(path, at, at);
  return run_id;
}

/** Messages of three users, and a row without a text. */
const messages = (flow: Flow, name: string) => [
  writeRows(flow, `${name}.ndjson`, [
    ...["ann", "bob", "cat"].map((user_id) => ({
      user_id,
      message: `${user_id} says ${name}`,
      timestamp: "2026-05-01T00:00:00Z",
    })),
    { user_id: "dan", timestamp: "2026-05-01T00:00:00Z" },
  ]),
];

const USERS = ["ann", "bob", "eve"];

/** The runs whose refused rows, artifacts, records and log lines are there. */
async function left(flow: Flow, run_ids: readonly string[]) {
  const { runs, services: { documents } } = flow;
  const refused = new Set(
    (await documents.quarantined({ limit: 99, offset: 0 })).map(({ run_id }) => run_id),
  );
  const has: Record<string, (run_id: string) => boolean | Promise<boolean>> = {
    refused: (run_id) => refused.has(run_id),
    artifacts: async (run_id) =>
      (await Array.fromAsync(filesUnder(`${flow.config.data}/artifacts/${run_id}`))).length > 0,
    records: async (run_id) => await runs.snapshot({ run_id }) !== null,
    logs: async (run_id) => (await runs.logs({ run_id, after: 0, limit: 9 })).length > 0,
    lineage: async (run_id) => (await runs.lineage({ run_id })).length > 0,
    audit: async (run_id) =>
      (await runs.auditEntries({ limit: 9 })).some(({ facts }) => facts.run_id === run_id),
  };
  const found: Record<string, number[]> = {};
  for (const [what, isThere] of Object.entries(has)) {
    const flags = await Promise.all(run_ids.map(isThere));
    found[what] = flags.flatMap((is, n) => is ? [n] : []);
  }
  return found;
}

Deno.test("refused rows, artifacts and audit entries leave after PARLEY_RETENTION_DAYS, runs with their logs by prune, and the published version stays", () =>
  withFlow(async (flow) => {
    const campaigns = [
      writeRows(
        flow,
        "campaigns.ndjson",
        ["a", "b", "c"].map((campaign_id) => ({ campaign_id, title: `Title ${campaign_id}` })),
      ),
    ];
    const events = [
      writeRows(
        flow,
        "events.ndjson",
        [["ann", "a"], ["bob", "a"], ["bob", "b"]].map(([user_id, campaign_id]) => ({
          user_id,
          campaign_id,
          type: "click",
          timestamp: "2026-05-01T00:00:00Z",
        })),
      ),
    ];
    const old = await runAgo(flow, 8, { messages: messages(flow, "old"), campaigns, events });
    const recent = await runAgo(flow, 6, { messages: messages(flow, "recent") });
    const both = [0, 1];
    assert.deepEqual(await left(flow, [old, recent]), {
      refused: both,
      artifacts: both,
      records: both,
      logs: both,
      lineage: both,
      audit: both,
    });

    const last = await runAgo(flow, 0, { messages: messages(flow, "new") });
    const runs = [old, recent, last];
    const all = [0, 1, 2];
    assert.deepEqual(await left(flow, runs), {
      refused: [1, 2],
      artifacts: [1, 2],
      records: all,
      logs: all,
      lineage: all,
      audit: [1, 2],
    });
    assert.equal((await flow.services.documents.counts()).messages, 9, "all that was said is there");
    const [answers, digest] = [await answersOf(flow, USERS), await digests(flow)];
    assert.deepEqual(Object.values(answers).map((items) => items.length > 0), [true, true, true]);

    const prune = async (olderThan: string) =>
      JSON.parse((await quietly(() => pruneRuns(flow.config, { olderThan, json: true }))).said[0]!).removed;
    assert.equal(await prune("7d"), 1);
    const later = await left(flow, runs);
    for (const what of ["records", "logs", "lineage"]) assert.deepEqual(later[what], [1, 2], what);
    assert.equal(await prune("0m"), 2);
    assert.deepEqual(await left(flow, runs), {
      refused: [1, 2],
      artifacts: [1, 2],
      records: [],
      logs: [],
      lineage: [],
      audit: [1, 2],
    });
    assert.equal((await flow.services.analytics.published())?.run_id, last);
    assert.deepEqual([await answersOf(flow, USERS), await digests(flow)], [answers, digest]);
  }, { PARLEY_RETENTION_DAYS: "7", PARLEY_MAX_BAD_SHARE: "1" }));
