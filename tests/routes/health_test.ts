import assert from "node:assert/strict";
import { emptyWorld, fails, faulty, hangs } from "../lib/recommend/world.ts";
import { appTest } from "./app.ts";

appTest("GET /healthz tells version and uptime", async ({ app, clock }) => {
  clock.advance(65_900);
  const response = await app.request("/healthz");
  assert.equal(response.status, 200);
  assert.deepEqual(await response.json(), {
    status: "up",
    version: "1.2.3",
    started_at: "2025-03-10T00:00:00.000Z",
    uptime_s: 65,
  });
});

appTest("GET /readyz lists every store", async ({ app }) => {
  const response = await app.request("/readyz");
  assert.equal(response.status, 200);
  const body = await response.json();
  assert.equal(body.status, "ready");
  assert.equal(body.published.version, 1);
  assert.deepEqual(Object.keys(body.stores), ["vectors", "graph", "analytics", "documents", "cache"]);
  for (const store of Object.values<Record<string, unknown>>(body.stores)) {
    assert.equal(store.status, "up");
    assert.equal(typeof store.adapter, "string");
    assert.ok(Number(store.latency_ms) >= 0);
  }
});

for (const [how, fault] of [["fails", fails], ["hangs", hangs]] as const) {
  appTest(`GET /readyz is degraded with 200 where the graph ${how}`, async ({ app, log }) => {
    const response = await app.request("/readyz");
    assert.equal(response.status, 200);
    const body = await response.json();
    assert.equal(body.status, "degraded");
    assert.deepEqual(body.stores.graph, { status: "down", adapter: null, latency_ms: null });
    assert.deepEqual(Object.keys(log[0]?.degraded ?? {}), ["graph"]);
  }, { options: ({ stores }) => ({ stores: { ...stores, graph: faulty(stores.graph, fault) } }) });
}

appTest("GET /readyz is 503 where analytics is down", async ({ app }) => {
  const response = await app.request("/readyz");
  assert.equal(response.status, 503);
  const body = await response.json();
  assert.deepEqual([body.status, body.published, body.stores.analytics.status], ["unready", null, "down"]);
}, { options: ({ stores }) => ({ stores: { ...stores, analytics: faulty(stores.analytics, fails) } }) });

appTest("GET /readyz is 503 where nothing is published", async ({ app }) => {
  const response = await app.request("/readyz");
  assert.equal(response.status, 503);
  const body = await response.json();
  assert.deepEqual([body.status, body.published, body.stores.analytics.status], ["unready", null, "up"]);
}, { open: emptyWorld });
