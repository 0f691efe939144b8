import assert from "node:assert/strict";
import { parseModelKey } from "../../lib/core/types.ts";
import { emptyWorld, fails, faulty, hangs, NOW } from "../lib/recommend/world.ts";
import { appTest } from "./app.ts";

appTest("GET /healthz reports version and uptime", async ({ app, clock }) => {
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
  assert.deepEqual(Object.keys(body.stores), ["vectors", "graph", "analytics", "documents", "cache", "runs"]);
  for (const store of Object.values<Record<string, unknown>>(body.stores)) {
    assert.equal(store.status, "up");
    assert.equal(typeof store.adapter, "string");
    assert.match(String(store.latency_ms), /^\d+(\.\d{1,3})?$/);
  }
});

const SHARED = { shared_stores: ["documents", "vectors", "graph", "runs"] };

appTest("GET /readyz shows the stores of one server once, and others alone", async ({ app }) => {
  const { status, stores } = await (await app.request("/readyz")).json();
  assert.equal(status, "ready");
  assert.deepEqual(Object.keys(stores), ["vectors+graph+documents+runs", "analytics", "cache"]);
  assert.equal(stores["vectors+graph+documents+runs"].status, "up");
}, { options: () => SHARED });

appTest("GET /readyz shows a store apart that is in another state than its server", async ({ app }) => {
  const { status, stores } = await (await app.request("/readyz")).json();
  assert.equal(status, "degraded");
  assert.deepEqual(Object.keys(stores), ["vectors+documents+runs", "graph", "analytics", "cache"]);
  assert.deepEqual([stores["vectors+documents+runs"].status, stores.graph.status], ["up", "down"]);
}, { options: ({ stores }) => ({ ...SHARED, stores: { ...stores, graph: faulty(stores.graph, fails) } }) });

appTest(
  "GET /readyz reports whether a scheduler lives and how late it was",
  async ({ app, world: { stores } }) => {
    const scheduler = async () => (await (await app.request("/readyz")).json()).scheduler;
    assert.equal(await scheduler(), null);
    await stores.runs.lead({ owner: "one", now: NOW - 2_000, ttl_ms: 5_000, lag_ms: 40 });
    assert.deepEqual(await scheduler(), { status: "up", last_tick: "2025-03-09T23:59:58.000Z", lag_ms: 40 });
    await stores.runs.lead({ owner: "one", now: NOW - 60_000, ttl_ms: 5_000, lag_ms: 0 });
    assert.equal((await scheduler()).status, "down");
  },
);

for (const [how, fault] of [["fails", fails], ["hangs", hangs]] as const) {
  appTest(`GET /readyz is degraded with 200 if the graph ${how}`, async ({ app, log }) => {
    const response = await app.request("/readyz");
    assert.equal(response.status, 200);
    const body = await response.json();
    assert.equal(body.status, "degraded");
    const { error, ...graph } = body.stores.graph;
    assert.deepEqual(graph, { status: "down", adapter: null, latency_ms: null, warning: null });
    assert.equal(typeof error, "string");
    assert.equal(body.stores.vectors.error, null);
    assert.deepEqual(Object.keys(log[0]?.degraded ?? {}), ["graph"]);
  }, { options: ({ stores }) => ({ stores: { ...stores, graph: faulty(stores.graph, fault) } }) });
}

for (
  const [what, warm_up, status, body_status] of [
    ["starting with 503 until a first answer is whole", { starting: true, late: ["graph"] }, 503, "starting"],
    ["degraded with 200 if that takes too long", { starting: false, late: ["graph"] }, 200, "degraded"],
    ["ready once it is", { starting: false, late: [] }, 200, "ready"],
  ] as const
) {
  appTest(`GET /readyz is ${what}`, async ({ app }) => {
    const response = await app.request("/readyz");
    const { status: told, late } = await response.json();
    assert.deepEqual([response.status, told, late], [status, body_status, warm_up.late]);
    assert.equal((await app.request("/healthz")).status, 200);
  }, { options: () => ({ warm_up: () => warm_up }) });
}

appTest(
  "GET /readyz is stopping with 503 after a shutdown request, while answers continue",
  async ({ app }) => {
    const response = await app.request("/readyz");
    assert.deepEqual([response.status, (await response.json()).status], [503, "stopping"]);
    assert.equal((await app.request("/popular")).status, 200);
  },
  { options: () => ({ stopping: AbortSignal.abort() }) },
);

for (const store of ["graph", "vectors"] as const) {
  appTest(
    `GET /readyz is not ready where the ${store} store lost all that it had`,
    async ({ app, world: { stores } }) => {
      const campaigns = await stores.analytics.campaignPage({ after: null, limit: 100 });
      const campaign_ids = campaigns.map(({ campaign_id }) => campaign_id);
      const user_ids = await stores.analytics.users({ after: null, limit: 100 });
      const published = (await stores.analytics.published())!;
      const of = store === "graph"
        ? stores.graph
        : await stores.vectors.forModel({ model: parseModelKey(published.model) });
      await of.deleteUsers({ user_ids });
      await of.deleteCampaigns({ campaign_ids });
      const response = await app.request("/readyz");
      const body = await response.json();
      assert.deepEqual([response.status, body.status, body.stores[store].status], [200, "degraded", "down"]);
      assert.match(body.stores[store].error, new RegExp(`is empty .*PARLEY_${store.toUpperCase()}.* --all`));
      const { open } = await (await app.request("/pipeline/anomalies")).json();
      assert.deepEqual(open.map(({ subject }: { subject: { store: string } }) => subject.store), [store]);
    },
  );
}

appTest("GET /readyz is 503 where analytics is down", async ({ app }) => {
  const response = await app.request("/readyz");
  assert.equal(response.status, 503);
  const body = await response.json();
  assert.deepEqual([body.status, body.published, body.stores.analytics.status], ["unready", null, "down"]);
}, { options: ({ stores }) => ({ stores: { ...stores, analytics: faulty(stores.analytics, fails) } }) });

appTest("GET /readyz is 503 if nothing is published", async ({ app }) => {
  const response = await app.request("/readyz");
  assert.equal(response.status, 503);
  const body = await response.json();
  assert.deepEqual([body.status, body.published, body.stores.analytics.status], ["unready", null, "up"]);
}, { open: emptyWorld });

const KEY = "a-key-of-sixteen-characters";

appTest("GET /readyz says why a store is down only to clients that may read", async ({ app }) => {
  const error = async (headers: Record<string, string>) =>
    (await (await app.request("/readyz", { headers })).json()).stores.graph.error;
  assert.equal(await error({}), null);
  assert.equal(await error({ authorization: "Bearer another-key-of-theirs" }), null);
  assert.equal(typeof await error({ authorization: `Bearer ${KEY}` }), "string");
}, {
  options: ({ stores }) => ({
    stores: { ...stores, graph: faulty(stores.graph, fails) },
    keys: [{ key: KEY, scopes: ["read"] }],
  }),
});
