import assert from "node:assert/strict";
import type { Hono } from "../../deps.ts";
import { iso, ManualClock } from "../../lib/core/clock.ts";
import { ServingMetrics } from "../../lib/telemetry/serving_metrics.ts";
import { fails, faulty, hangs, NOW } from "../lib/recommend/world.ts";
import { addRun } from "../fixtures/runs.ts";
import { appTest } from "./app.ts";

/** Samples by name and labels; throws where a line is not of Prometheus' text format. */
async function scrape(app: Hono): Promise<Map<string, number>> {
  const response = await app.request("/metrics");
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  const samples = new Map<string, number>();
  const typed = new Set<string>();
  for (const line of (await response.text()).split("\n").filter((line) => line !== "")) {
    const [, name] = /^# (?:HELP|TYPE) (\w+) \S/.exec(line) ?? [];
    if (name !== undefined) typed.add(name);
    if (line.startsWith("#")) continue;
    const sample = /^((\w+?)(?:_bucket|_sum|_count)?(?:\{\w+="[^"]*"(?:,\w+="[^"]*")*\})?) (\S+)$/.exec(line);
    assert.ok(sample, line);
    assert.ok(typed.has(sample[2]!) || typed.has(sample[1]!.replace(/\{.*/, "")), `untyped: ${line}`);
    assert.ok(!samples.has(sample[1]!), `twice: ${line}`);
    samples.set(sample[1]!, sample[3] === "+Inf" ? Infinity : Number(sample[3]));
  }
  assert.ok([...samples.values()].every((value) => !Number.isNaN(value)));
  return samples;
}

const PATH = "/recommendations/ann";
const ROUTE = 'route="/recommendations/:user_id"';
const requests = (status: number, method = "GET") =>
  `parley_http_request_duration_seconds_count{${ROUTE},method="${method}",status="${status}"}`;

appTest("GET /metrics counts requests by route, method and status, errors too", async ({ app }) => {
  for (const path of [PATH, PATH, `${PATH}?k=0`, "/nowhere/ann"]) await app.request(path);
  await app.request(PATH, { method: "HEAD" });
  await app.request(PATH, { method: "PROPFIND" });
  const samples = await scrape(app);
  assert.equal(samples.get(requests(200)), 2);
  assert.equal(samples.get(requests(400)), 1);
  assert.equal(samples.get(requests(200, "HEAD")), 1);
  const none = (method: string, status: number) =>
    samples.get(
      `parley_http_request_duration_seconds_count{route="*",method="${method}",status="${status}"}`,
    );
  assert.deepEqual([none("GET", 404), none("other", 405)], [1, 1]);
  const bucket = requests(200).replace("_count", "_bucket").replace("}", ',le="+Inf"}');
  assert.equal(samples.get(bucket), 2);
});

appTest(
  "GET /metrics reports stages, cache and breakers, and counts degraded answers from 0",
  async ({ app }) => {
    for (let n = 0; n < 3; n++) await app.request(PATH);
    const samples = await scrape(app);
    for (const stage of ["vectors", "graph", "analytics", "rank"]) {
      assert.equal(samples.get(`parley_stage_duration_seconds_count{stage="${stage}"}`), 1);
    }
    assert.equal(samples.get('parley_stage_duration_seconds_count{stage="cache"}'), 3);
    assert.equal(samples.get('parley_cache_lookups_total{result="hit"}'), 2);
    assert.equal(samples.get('parley_cache_lookups_total{result="miss"}'), 1);
    assert.equal(samples.get('parley_cache_lookups_total{result="bypass"}'), 0);
    for (const store of ["cache", "vectors", "graph", "analytics"]) {
      assert.equal(samples.get(`parley_breaker_open{store="${store}"}`), 0);
      assert.equal(samples.get(`parley_answers_degraded_total{store="${store}"}`), 0);
    }
    for (const kind of ["users", "campaigns"]) {
      assert.equal(samples.get(`parley_derivation_queue_depth{kind="${kind}"}`), 0);
    }
  },
);

appTest("GET /metrics reports stores, published data and memory", async ({ app, clock, world }) => {
  await world.stores.runs.lead({ owner: "one", now: NOW, ttl_ms: 5_000, lag_ms: 40 });
  clock.advance(60_000);
  const samples = await scrape(app);
  for (const store of ["vectors", "graph", "analytics", "documents", "cache", "runs"]) {
    assert.equal(samples.get(`parley_store_up{store="${store}"}`), 1);
  }
  assert.equal(samples.get("parley_published_version"), 1);
  assert.ok(samples.get("parley_published_age_seconds")! >= 60);
  assert.equal(samples.get("parley_scheduler_up"), 0);
  assert.equal(samples.get("parley_scheduler_lag_seconds"), 0.04);
  assert.equal(samples.get("parley_scheduler_tick_age_seconds"), 60);
  assert.equal(samples.get('parley_build_info{version="1.2.3"}'), 1);
  assert.ok(samples.get("process_resident_memory_bytes")! > 1e6);
});

const DEPTH = "parley_lineage_outbox_depth";
appTest(
  "GET /metrics reports how many attempts are not sent to the lineage sink",
  async ({ app, clock, world }) => {
    const { runs } = world.stores;
    const before = await runs.unsent();
    for (const run_id of ["one", "two"]) {
      await addRun(runs, { run_id, dag_id: "d", at: NOW, task_id: "a" });
    }
    assert.equal((await scrape(app)).get(DEPTH), before + 2);
    await runs.markSent({ attempts: [{ run_id: "one", task_id: "a", attempt: 1 }], again_at: null });
    clock.advance(5_000);
    assert.equal((await scrape(app)).get(DEPTH), before + 1);
  },
  { options: () => ({ lineage: true }) },
);

const PENDING = 'parley_notification_outbox_depth{sink="slack"}';
appTest(
  "GET /metrics reports what sinks of notifications have yet to get",
  async ({ app, clock, world }) => {
    const { runs } = world.stores;
    await runs.takeNotifications({ sink: "slack", now: NOW, again_at: NOW, limit: 1 });
    assert.equal((await scrape(app)).get(PENDING), 0);
    const run = {
      state: "failed" as const,
      started_at: null,
      ended_at: iso(NOW),
      error: "<what a user said>",
    };
    await addRun(runs, { run_id: "one", dag_id: "d", at: NOW, task_id: "a" });
    await runs.revise({ run_id: "one", now: NOW, plan: () => ({ run }) });
    clock.advance(5_000);
    assert.equal((await scrape(app)).get(PENDING), 1);
  },
  { options: () => ({ sinks: ["slack"] }) },
);

appTest("GET /metrics leaves the outbox out where lineage is sent nowhere", async ({ app }) => {
  assert.equal((await scrape(app)).has(DEPTH), false);
});

for (const [how, fault] of [["fail", fails], ["hang", hangs]] as const) {
  appTest(`GET /metrics answers if stores ${how}, without their metrics`, async ({ app }) => {
    for (let n = 0; n < 5; n++) await app.request(`/recommendations/user-${n}`);
    const samples = await scrape(app);
    assert.equal(samples.get('parley_store_up{store="graph"}'), 0);
    assert.equal(samples.get('parley_store_up{store="runs"}'), 0);
    assert.equal(samples.get('parley_store_up{store="vectors"}'), 1);
    assert.equal(samples.get('parley_breaker_open{store="graph"}'), 1);
    assert.equal(samples.get('parley_answers_degraded_total{store="graph"}'), 5);
    assert.deepEqual([...samples.keys()].filter((name) => /^parley_(scheduler|runs|lineage)/.test(name)), []);
  }, {
    options: ({ stores }) => ({
      stores: { ...stores, graph: faulty(stores.graph, fault), runs: faulty(stores.runs, fault) },
      // So much that on a busy machine each answer asks the graph too.
      answer_ms: 500,
      lineage: true,
    }),
  });
}

appTest("GET /metrics asks stores at most every five seconds", async ({ app, clock, world }) => {
  const { runs } = world.stores;
  const health = runs.health.bind(runs);
  let asked = 0;
  runs.health = () => (asked++, health());
  await scrape(app);
  const once = asked;
  await Promise.all([scrape(app), scrape(app)]);
  assert.equal(asked, once);
  clock.advance(5_000);
  await Promise.all([scrape(app), scrape(app)]);
  assert.equal(asked, 2 * once);
});

appTest("GET /metrics asks for a key with the scope read", async ({ app }) => {
  const ask = async (key: string) =>
    (await app.request("/metrics", { headers: { authorization: `Bearer ${key}` } })).status;
  assert.deepEqual([await ask("reader-key"), await ask("none")], [200, 401]);
}, { options: () => ({ keys: [{ key: "reader-key", scopes: ["read"] }] }) });

const metrics = new ServingMetrics(new ManualClock(NOW));
appTest(
  "the window of the last hour has answers alone, with hits, errors and degraded ones",
  async ({ app }) => {
    for (const path of [PATH, PATH, `${PATH}?k=0`, "/healthz", "/nowhere", "/metrics"]) {
      await app.request(
        path,
      );
    }
    const [minute, ...more] = metrics.window.minutes(NOW);
    assert.deepEqual(more, []);
    const { at, requests, hits, errors, degraded, p50_ms, p95_ms } = minute!;
    assert.equal(at, "2025-03-10T00:00:00.000Z");
    assert.deepEqual({ requests, hits, errors, degraded }, { requests: 3, hits: 0, errors: 0, degraded: 2 });
    assert.ok(p50_ms! > 0 && p95_ms! >= p50_ms!);
  },
  {
    options: ({ stores }) => ({ metrics, stores: { ...stores, cache: faulty(stores.cache, fails) } }),
  },
);
