import assert from "node:assert/strict";
import { builtInDags } from "../../commands/engine.ts";
import { DatabaseSync } from "../../deps.ts";
import { systemClock } from "../../lib/core/clock.ts";
import { ParleyError } from "../../lib/core/errors.ts";
import { type Anomalies, detectAnomalies } from "../../lib/monitoring/anomalies.ts";
import { type CheckedStores, compareStores } from "../../lib/data_checks/data_checks.ts";
import { checkBeforePublish } from "../../lib/data_checks/publish_gate.ts";
import { snapshotsOf } from "../../lib/data_checks/store_snapshot.ts";
import { pipelineRunSummary } from "../../lib/monitoring/pipeline_run_summary.ts";
import { modelFile } from "../../lib/stores/vectors/names.ts";
import { type Flow, nightlyRun, runDag, withFlow, writeRows } from "../fixtures/flow.ts";
import { night } from "../fixtures/monitoring.ts";
import { leadAt } from "../fixtures/runs.ts";
import { fails, faulty } from "../lib/recommend/world.ts";

const said = (n: number) => ({
  user_id: `person-${n % 40}`,
  message: `I would like thing ${n % 5}, the ${n}th`,
  timestamp: "2026-05-01T10:00:00Z",
});
const campaigns = [{ campaign_id: "offer", title: "An offer" }];
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

const down = () => Promise.reject(new ParleyError("unavailable", "the graph is away"));

let files = 0;
const messages = (flow: Flow, from: number, to: number) => [
  writeRows(flow, `messages-${files++}.ndjson`, range(from, to).map(said)),
];

/** The stores as a check sees them: of vectors, those of the model that is published. */
async function checkedStores({ services }: Flow): Promise<CheckedStores> {
  return {
    ...services,
    vectors: await services.vectors.forModel({ model: (await services.embedder()).model }),
  };
}

/** All that these stores count. */
async function countsOf({ documents, analytics, vectors, graph }: CheckedStores) {
  return {
    documents: await documents.counts(),
    analytics: await analytics.counts(),
    vectors: await vectors.counts(),
    graph: await graph.counts(),
  };
}

/** With `stores`, compares them live. */
async function look(flow: Flow, stores?: CheckedStores): Promise<Anomalies> {
  await leadAt(flow.runs, systemClock.now());
  const { analytics } = flow.services;
  const dags = [...builtInDags(flow.config).values()];
  const live = stores === undefined ? {} : { comparison: compareStores(stores) };
  return await detectAnomalies({ runs: flow.runs, analytics, dags, clock: systemClock, ...live });
}

const codes = (found: readonly { severity: string; code: string }[]) =>
  found.map(({ severity, code }) => `${severity} ${code}`);

Deno.test("check returns its findings as output, also in a failed run, until the next check finds them repaired", () =>
  withFlow(async (flow) => {
    await nightlyRun(flow, {
      messages: messages(flow, 0, 80),
      campaigns: [writeRows(flow, "campaigns.ndjson", campaigns)],
    });
    assert.deepEqual(await look(flow, await checkedStores(flow)).then(({ open, past }) => [open, past]), [
      [],
      [],
    ]);

    const outputs = await flow.runs.outputs({ dag_id: "nightly", task_id: "check", since: "", limit: 1 });
    assert.deepEqual(snapshotsOf(outputs)[0]?.stores, await countsOf(await checkedStores(flow)));

    const { model } = await flow.services.embedder();
    const file = new DatabaseSync(`${flow.config.data}/vectors/${modelFile(model)}.db`);
    const good = file.prepare("SELECT rowid, vector FROM vectors WHERE collection = 'campaigns'").get()!;
    const put = file.prepare("UPDATE vectors SET vector = ? WHERE rowid = ?");
    put.run(new Uint8Array(new Float32Array(64).fill(NaN).buffer), good.rowid!);
    const before = await flow.services.analytics.published();
    const { outcome, snapshot } = await nightlyRun(flow, { messages: messages(flow, 80, 90) });
    assert.equal(outcome, "failed");
    assert.match(snapshot.run.error ?? "", /not published: vectors are not unit vectors/);
    assert.deepEqual(await flow.services.analytics.published(), before);
    const broken = ["critical run_failed", "critical faulty_vectors"];
    for (const stores of [undefined, await checkedStores(flow)]) {
      assert.deepEqual(codes((await look(flow, stores)).open).toSorted(), broken.toSorted());
    }

    put.run(good.vector as Uint8Array, good.rowid!);
    file.close();
    assert.equal((await nightlyRun(flow, { messages: messages(flow, 90, 100) })).outcome, "success");
    const { open, past } = await look(flow, await checkedStores(flow));
    assert.deepEqual(codes(open), []);
    assert.deepEqual(codes(past).toSorted(), broken.toSorted());
    for (const one of past) assert.ok(one.run_id === snapshot.run.run_id && one.until! > one.since);
  }));

Deno.test("check holds a publish back for as long as a store has lost all that it had, and lets a run of all sources pass", () =>
  withFlow(async (flow) => {
    const { documents, analytics } = flow.services;
    await nightlyRun(flow, {
      messages: messages(flow, 0, 80),
      campaigns: [writeRows(flow, "campaigns.ndjson", campaigns)],
    });
    const { vectors } = await checkedStores(flow);
    await vectors.deleteCampaigns({ campaign_ids: ["offer"] });
    await analytics.deleteCampaigns({ campaign_ids: ["offer"] });
    await flow.services.graph.deleteCampaigns({ campaign_ids: ["offer"] });
    const { snapshot } = await nightlyRun(flow, { messages: messages(flow, 80, 90) });
    assert.match(snapshot.run.error ?? "", /not published: none of the 1 campaigns are left/);
    assert.equal((await analytics.published())?.version, 1);
    const next = { messages: messages(flow, 90, 91) };
    assert.equal((await nightlyRun(flow, next)).outcome, "failed");
    const all = { campaigns: [], events: [], ...next, all: true };
    assert.equal((await runDag(flow, "nightly", all)).outcome, "success");
    assert.equal((await documents.counts()).messages, 91);
  }));

Deno.test("pipelineRunSummary() agrees with the summary of a real run, and has the age of the version", () =>
  withFlow(async (flow) => {
    const { snapshot } = await nightlyRun(flow, { messages: messages(flow, 0, 30) });
    const { analytics } = flow.services;
    const dags = [...builtInDags(flow.config).values()];
    const clock = { now: () => Date.now() + 3_600_000 };
    const summary = await pipelineRunSummary({ runs: flow.runs, analytics, dags, clock });
    const [nightly] = summary.dags;
    assert.deepEqual([nightly?.runs, nightly?.success_rate, nightly?.rows_in], [1, 1, 30]);
    assert.deepEqual(
      nightly?.stages.map(({ task_id, rows_out }) => [task_id, rows_out]),
      nightly?.stages.map(({ task_id }) => [
        task_id,
        snapshot.attempts.find((attempt) => attempt.task_id === task_id)?.rows_out,
      ]),
    );
    assert.equal(summary.published?.version, 1);
    assert.ok(summary.published.age_s >= 3_600 && nightly!.freshness_s! >= 3_600);
    assert.deepEqual(JSON.parse(JSON.stringify(summary)), summary);
  }));

Deno.test("detectAnomalies() reports that a store is down, and checks the rest", () =>
  withFlow(async (flow) => {
    await nightlyRun(flow, { messages: messages(flow, 0, 5) });
    const { open } = await look(flow, {
      ...await checkedStores(flow),
      graph: faulty(flow.services.graph, down),
    });
    assert.deepEqual(codes(open), ["critical store_unreachable"]);
    assert.match(open[0]!.text, /the graph is away.*deno task doctor/);
    const broken = await look(flow, {
      ...await checkedStores(flow),
      graph: faulty(flow.services.graph, fails),
    });
    assert.deepEqual(codes(broken.open), ["critical store_unreachable"]);
    assert.doesNotMatch(broken.open[0]!.text, /socket/, "a foreign message stays inside");
  }));

Deno.test("checkBeforePublish() compares the run with earlier runs of its dag", () =>
  withFlow(async (flow) => {
    const rows = (count: number) =>
      Array<Parameters<typeof night>[1][number]>(5).fill({ rows_in: count, rows_out: count, ms: 3_000 });
    const earlier = Array.from({ length: 20 }, (_, n) => night(n, rows(1_000)));
    const [usual, small] = [night(20, rows(1_000)), night(20, rows(10))];
    const codes = async (own: typeof usual, run_id = own.run.run_id) => {
      const runs = {
        history: () => Promise.resolve([own, ...earlier.toReversed()]),
        outputs: () => Promise.resolve([]),
      };
      const stores = await checkedStores(flow);
      const options = { stores, runs, dag_id: "d", run_id, task_id: "check", all: false, now: Date.now() };
      return (await checkBeforePublish(options)).findings.map(({ code }) => code);
    };
    assert.deepEqual(await codes(usual), []);
    assert.deepEqual(await codes(small), ["rows_unusual"]);
    assert.deepEqual(await codes(small, "not recorded"), []);
  }));
