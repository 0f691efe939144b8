import assert from "node:assert/strict";
import { DAY_MS, iso } from "../../lib/core/clock.ts";
import { newTask } from "../../lib/dag/state.ts";
import { ServingMetrics } from "../../lib/telemetry/serving_metrics.ts";
import { endOf, runOf, startOf } from "../fixtures/runs.ts";
import { fails, faulty, NOW, type World } from "../lib/recommend/world.ts";
import { appTest } from "./app.ts";

const DAG = { id: "d", tasks: [{ id: "a" }, { id: "b", needs: ["a"] }] };

/** A run that succeeded `days` ago, or failed at its first task. */
async function addRun({ runs }: World["stores"], days: number, state: "success" | "failed"): Promise<void> {
  const at = NOW - days * DAY_MS, run_id = `r${days}`;
  const run = runOf(run_id, { logical_date: iso(at), created_at: iso(at) });
  await runs.create({ run, tasks: ["a", "b"].map(newTask) });
  const held = { run_id, owner: "p", now: at };
  await runs.claim({ ...held, ttl_ms: 10_000, max_active: { d: 9 } });
  const start = startOf("a", held);
  await runs.commit({ ...held, changes: { starts: [start] } });
  const times = { started_at: iso(at), ended_at: iso(at + 2_000), error: null };
  const ended = [
    endOf(start, { state, rows_in: 10, rows_out: 9, quarantined: 1, ended_at: iso(at + 1_000) }),
  ];
  const tasks = [{ ...start.task, state }];
  await runs.commit({ ...held, changes: { ended, tasks, run: { state, ...times } } });
}

/** What a process counted that answered nine of ten requests with an error. */
function afterErrors(): ServingMetrics {
  const metrics = new ServingMetrics({ now: () => NOW });
  for (let n = 0; n < 100; n++) {
    metrics.addToWindow({ method: "GET", status: n < 90 ? 500 : 200, ms: 3 }, {});
  }
  return metrics;
}

const watching = { options: () => ({ dags: [DAG] }) };

appTest(
  "GET /pipeline/summary sums up what each dag and stage did in the days asked for",
  async ({ app, world }) => {
    await addRun(world.stores, 40, "success");
    await addRun(world.stores, 2, "failed");
    await addRun(world.stores, 1, "success");
    const response = await app.request("/pipeline/summary");
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("cache-control"), "no-store");
    const { dags: [dag], published } = await response.json();
    assert.deepEqual([dag.dag_id, dag.runs, dag.success_rate, dag.freshness_s], ["d", 2, 0.5, 86_398]);
    assert.deepEqual([dag.stages[0].rows_in, dag.stages[0].quarantined_share], [20, 0.1]);
    assert.deepEqual([published.version, published.age_s], [1, 43_200]);
    const longer = await (await app.request("/pipeline/summary?days=60")).json();
    assert.equal(longer.dags[0].runs, 3);
  },
  watching,
);

appTest("GET /pipeline/anomalies lists open and past anomalies", async ({ app, world }) => {
  await addRun(world.stores, 3, "failed");
  await addRun(world.stores, 2, "success");
  const healed = await (await app.request("/pipeline/anomalies")).json();
  assert.deepEqual(healed.open, []);
  assert.deepEqual(healed.past.map(({ code, run_id }: Record<string, unknown>) => [code, run_id]), [[
    "run_failed",
    "r3",
  ]]);
  await addRun(world.stores, 1, "failed");
  const { open } = await (await app.request("/pipeline/anomalies?days=30")).json();
  assert.deepEqual(open.map(({ code, severity }: Record<string, unknown>) => [code, severity]), [
    ["run_failed", "critical"],
  ]);
}, watching);

appTest("GET /pipeline/anomalies judges what this process served", async ({ app }) => {
  const { open } = await (await app.request("/pipeline/anomalies")).json();
  assert.deepEqual(open.map(({ code }: Record<string, unknown>) => code), ["api_errors"]);
}, { options: () => ({ metrics: afterErrors() }) });

appTest(
  "GET /pipeline/anomalies lists errors as past once requests stop",
  async ({ app, clock }) => {
    clock.advance(30 * 60_000);
    const { open, past } = await (await app.request("/pipeline/anomalies")).json();
    const codes = (found: readonly Record<string, unknown>[]) => found.map(({ code }) => code);
    assert.deepEqual([codes(open), codes(past)], [[], ["api_errors"]]);
  },
  { options: () => ({ metrics: afterErrors() }) },
);

appTest("GET /pipeline/anomalies answers while a store is down, and says so", async ({ app }) => {
  const response = await app.request("/pipeline/anomalies");
  assert.equal(response.status, 200);
  const { open } = await response.json();
  assert.deepEqual(open.map(({ code }: Record<string, unknown>) => code), ["store_unreachable"]);
}, { options: ({ stores }) => ({ stores: { ...stores, analytics: faulty(stores.analytics, fails) } }) });

appTest("GET /pipeline/… refuses a query that it does not know", async ({ app }) => {
  for (const path of ["summary", "anomalies"]) {
    for (const query of ["days=0", "days=366", "days=x", "days=1&days=2", "day=1"]) {
      const response = await app.request(`/pipeline/${path}?${query}`);
      assert.equal(response.status, 400, `${path}?${query}`);
    }
    for (const days of [1, 30, 99, 100, 299, 365]) {
      assert.equal((await app.request(`/pipeline/${path}?days=${days}`)).status, 200, `${days}`);
    }
  }
});

appTest("GET /pipeline/… needs a key with the scope read", async ({ app }) => {
  for (const path of ["/pipeline/summary", "/pipeline/anomalies"]) {
    const as = async (key: string) =>
      (await app.request(path, { headers: { authorization: `Bearer ${key}` } })).status;
    assert.equal((await app.request(path)).status, 401);
    assert.deepEqual([await as("x"), await as("r")], [401, 200]);
  }
}, { options: () => ({ keys: [{ key: "r", scopes: ["read"] }] }) });
