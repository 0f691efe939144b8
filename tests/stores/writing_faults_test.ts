import assert from "node:assert/strict";
import { Neo4jGraph } from "../../lib/stores/graph/neo4j/neo4j_graph.ts";
import type { RunSnapshot } from "../../lib/stores/runs/port.ts";
import type { Services } from "../../tasks/services.ts";
import { proxied } from "../fixtures/faults.ts";
import { digests, type Flow, nightlyRun, SAMPLE, withFlow } from "../fixtures/flow.ts";
import { retry, secondRun, undisturbed } from "../fixtures/second_run.ts";
import { freshServers, missingServers, ON_POSTGRES, SERVERS, type Servers } from "../fixtures/servers.ts";

type Store = "documents" | "vectors" | "graph" | "analytics";
const SETTINGS = {
  documents: "PARLEY_DOCUMENTS",
  vectors: "PARLEY_VECTORS",
  graph: "PARLEY_GRAPH",
  analytics: "PARLEY_ANALYTICS",
} as const;

/** The same stores, one of which goes away as soon as something is written to it. */
function losing(services: Services, store: Store, away: () => void): Services {
  const gone = once(away);
  if (store !== "vectors") return { ...services, [store]: writing(services[store], gone) };
  const of: typeof services.vectors.forModel = async (options) =>
    writing(await services.vectors.forModel(options), gone);
  const vectors = new Proxy(services.vectors, {
    get: (target, name) => name === "forModel" ? of : bound(target, name),
  });
  return { ...services, vectors };
}

/** Calls `before` ahead of each write. */
function writing<T extends object>(store: T, before: () => void): T {
  return new Proxy(store, {
    get: (target, name) => {
      const value = bound(target, name);
      if (typeof value !== "function" || !/^(upsert|set|build)/.test(String(name))) return value;
      return (...args: unknown[]) => {
        before();
        return value(...args);
      };
    },
  });
}

function bound(target: object, name: string | symbol): unknown {
  const value = Reflect.get(target, name);
  return typeof value === "function" ? value.bind(target) : value;
}

/** Calls `act` the first time, and gives what it gave ever after. */
function once<T>(act: () => T): () => T {
  let made: { value: T } | null = null;
  return () => (made ??= { value: act() }).value;
}

/** The driver tries a lost connection again for as long as a write may take: here less than the usual 30 s. */
const GRAPH_MS = 2_000;

type Proxied = ReturnType<typeof proxied>;

/** Lets `body` disturb the second run over one store on its server, behind a proxy. */
async function behindProxy(
  store: Store,
  servers: Servers,
  body: (flow: Flow, proxy: Proxied["proxy"]) => Promise<void>,
): Promise<void> {
  const setting = SETTINGS[store];
  const { env, drop } = freshServers([setting], servers);
  const { url, proxy } = proxied(env[setting]!);
  const runs_dir = await Deno.makeTempDir();
  const graph = servers[setting] === SERVERS.PARLEY_GRAPH
    ? new Neo4jGraph({ url: new URL(url), write_ms: GRAPH_MS })
    : null;
  try {
    await withFlow(async (flow) => {
      const services = graph === null ? flow.services : { ...flow.services, graph };
      assert.equal((await nightlyRun({ ...flow, services }, SAMPLE)).outcome, "success");
      await body({ ...flow, services }, proxy);
      assert.deepEqual(await digests({ ...flow, services }), await undisturbed());
    }, { ...env, [setting]: url, PARLEY_RUNS: `sqlite:${runs_dir}/runs.db` });
  } finally {
    await graph?.close();
    await proxy.close();
    await drop();
    await Deno.remove(runs_dir, { recursive: true });
  }
}

for (
  const [store, servers, where] of [
    ["documents", SERVERS, ""],
    ["vectors", SERVERS, ""],
    ["graph", SERVERS, ""],
    ["analytics", SERVERS, ""],
    ["documents", ON_POSTGRES, " on PostgreSQL"],
    ["graph", ON_POSTGRES, " on PostgreSQL"],
  ] as const
) {
  const missing = missingServers([SETTINGS[store]], servers);
  const ignore = missing.length > 0;
  const unset = ignore ? `: ${missing.join(", ")} not set` : "";
  Deno.test({
    name:
      `a nightly run that loses the store of ${store}${where} publishes nothing, and ends well when tried again${unset}`,
    ignore,
    fn: () =>
      behindProxy(store, servers, async (flow, proxy) => {
        const { analytics } = flow.services;
        const published = await analytics.published();
        const services = losing(flow.services, store, () => proxy.down());
        const { outcome, snapshot } = await secondRun({ ...flow, services });
        assert.equal(outcome, "failed");
        await proxy.up();
        await answers(() => flow.services[store].health());
        assert.deepEqual(await analytics.published(), published);
        await retry(flow, snapshot.run.run_id);
        assert.equal((await analytics.published())!.version, published!.version + 1);
      }),
  });

  Deno.test({
    name: `a nightly run that loses the store of ${store}${where} for a second ends well by itself${unset}`,
    ignore,
    fn: () =>
      behindProxy(store, servers, async (flow, proxy) => {
        let back = Promise.resolve();
        const services = losing(flow.services, store, () => {
          proxy.down();
          back = new Promise<void>((resume) => setTimeout(resume, AWAY_MS)).then(() => proxy.up());
        });
        const { outcome, snapshot } = await secondRun({ ...flow, services }, { jitter: 0.99 });
        await back;
        assert.equal(outcome, "success", snapshot.run.error ?? "");
        const tried = attemptsOf(snapshot).filter((states) => states.length > 1);
        for (const states of tried) assert.equal(states.at(-1), "success", `${states}`);
        // The drivers of the others wait for a server that comes back so soon, and no attempt need fail.
        if (servers[SETTINGS[store]] === "PARLEY_TEST_POSTGRES") {
          assert.ok(tried.some((states) => states[0] === "failed"), "nothing failed");
        }
      }),
  });
}

/** How long a store is away: the waits before a task's three retries are up to 0.5, 1 and 2 s. */
const AWAY_MS = 1_000;

/** How the attempts of each task ended, oldest first. */
function attemptsOf({ tasks, attempts }: RunSnapshot): string[][] {
  return tasks.map(({ task_id }) =>
    attempts.filter((one) => one.task_id === task_id).toSorted((a, b) => a.attempt - b.attempt)
      .map(({ state }) => state)
  );
}

/** Waits until a store that is back answers again. */
async function answers(call: () => Promise<unknown>): Promise<void> {
  for (const deadline = performance.now() + 30_000;;) {
    try {
      return void await call();
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await new Promise((resume) => setTimeout(resume, 200));
    }
  }
}
