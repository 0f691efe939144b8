/** A server that goes away under an open store and comes back, as a restarted one does. */
import assert from "node:assert/strict";
import { ParleyError } from "../../lib/core/errors.ts";
import { openAnalytics, openCache, openDocuments, openGraph, openVectors } from "../../lib/stores/open.ts";
import { campaign, message } from "../fixtures/rows.ts";
import {
  defaultPort,
  freshServers,
  missingServers,
  type Setting,
  STORES_ON_SERVERS,
} from "../fixtures/servers.ts";
import { proxied } from "../fixtures/tcp_proxy.ts";
import { until } from "../fixtures/until.ts";
import { profile } from "../fixtures/vectors.ts";

/** A store with something in it, and how to ask for that. */
interface Filled {
  /** What is there, in a form that can be compared. */
  ask(): Promise<unknown>;
  close(): Promise<void>;
}

const MODEL = { name: "test", revision: "0", dimension: 4, pooling: "mean" } as const;

const FILL: Readonly<Record<Setting, (url: URL) => Promise<Filled>>> = {
  PARLEY_DOCUMENTS: async (url) => {
    const store = await openDocuments(url);
    await store.upsert({ messages: [message(), message()] });
    return { ask: () => store.digest(), close: () => store.close() };
  },
  PARLEY_VECTORS: async (url) => {
    const stores = await openVectors(url);
    const store = await stores.forModel({ model: MODEL });
    await store.upsert({ collection: "profiles", rows: [profile("u", Float32Array.of(1, 0, 0, 0))] });
    return { ask: () => store.digest(), close: () => stores.close() };
  },
  PARLEY_GRAPH: async (url) => {
    const store = await openGraph(new URL(url.href.replace(/^neo4j/, "bolt")));
    await store.setTargets({ campaigns: [{ campaign_id: "k", intents: ["x", "y"] }] });
    return { ask: () => store.targeting({ intents: ["x", "y"], limit: 9 }), close: () => store.close() };
  },
  PARLEY_ANALYTICS: async (url) => {
    const store = await openAnalytics(url);
    await store.upsertCampaigns({ campaigns: [campaign(), campaign()] });
    return { ask: () => store.digest(), close: () => store.close() };
  },
  PARLEY_CACHE: async (url) => {
    const store = await openCache(url);
    await store.set({ key: "a", value: "1", ttl_ms: 600_000 });
    return { ask: () => store.get({ key: "a" }), close: () => store.close() };
  },
};

/** How long the server is away. */
const AWAY_MS = 2_000;

for (const { setting, servers, title } of STORES_ON_SERVERS) {
  const missing = missingServers([setting], servers);
  Deno.test({
    name: `${title}: an open store outlives its server's absence, and finds everything there${
      missing.length > 0 ? `: ${missing} not set` : ""
    }`,
    ignore: missing.length > 0,
    async fn() {
      const { env, drop } = freshServers([setting], servers);
      const direct = new URL(env[setting]!);
      const { url, proxy } = proxied(direct, defaultPort(direct));
      const store = await FILL[setting](url);
      try {
        const before = await store.ask();
        proxy.down();
        await failsUntil(performance.now() + AWAY_MS, store);
        await proxy.up();
        await until(() => store.ask().then(() => true, () => false));
        assert.deepEqual(await store.ask(), before);
      } finally {
        await store.close();
        await proxy.close();
        await drop();
      }
    },
  });
}

/** Asks at least once while the server is away, and expects no answer. */
async function failsUntil(end: number, store: Filled): Promise<void> {
  do {
    const error = await store.ask().then(() => assert.fail("it answered"), (error) => error);
    assert.ok(error instanceof ParleyError, String(error));
    assert.equal(error.code, "unavailable", error.message);
    await new Promise((resume) => setTimeout(resume, 100));
  } while (performance.now() < end);
}
