import assert from "node:assert/strict";
import { allDags, engine, work } from "../../commands/engine.ts";
import { systemClock } from "../../lib/core/clock.ts";
import { clearRun } from "../../lib/dag/clear.ts";
import type { Services } from "../../tasks/services.ts";
import { proxied } from "../fixtures/faults.ts";
import { digests, type Flow, nightlyRun, SAMPLE, withFlow, writeRows } from "../fixtures/flow.ts";
import { freshServers, missingServers } from "../fixtures/servers.ts";

type Store = "documents" | "vectors" | "graph" | "analytics";
const SETTINGS = {
  documents: "PARLEY_DOCUMENTS",
  vectors: "PARLEY_VECTORS",
  graph: "PARLEY_GRAPH",
  analytics: "PARLEY_ANALYTICS",
} as const;

const NEW = [{
  message_id: "late",
  user_id: "keziah-boateng",
  message: "And a lighter pair for races?",
  timestamp: "2025-11-02T10:00:00Z",
  intent: "choose_running_kit",
}];

/** The second run of the sample's owner brings one new message. */
const second = (flow: Flow) => nightlyRun(flow, { messages: [writeRows(flow, "new.ndjson", NEW)] });

/** The same stores, one of which goes away as soon as something is written to it. */
function losing(services: Services, store: Store, away: () => void): Services {
  const gone = once(away);
  if (store !== "vectors") return { ...services, [store]: writing(services[store], gone) };
  const of: typeof services.vectors.of = async (o) => writing(await services.vectors.of(o), gone);
  const vectors = new Proxy(services.vectors, {
    get: (target, name) => name === "of" ? of : bound(target, name),
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

function once(act: () => void): () => void {
  let done = false;
  return () => {
    if (!done) act();
    done = true;
  };
}

async function retry({ config, runs, services }: Flow, run_id: string): Promise<void> {
  const dag = allDags(config).get("nightly")!;
  await clearRun({ dag, runs, run_id, scope: { failed: true }, clock: systemClock });
  const options = { ...engine({ config, runs, services }), random: () => 0 };
  assert.equal(await work(options, new AbortController().signal, { until: run_id }), "success");
}

for (const store of ["documents", "vectors", "graph", "analytics"] as const) {
  const setting = SETTINGS[store];
  const missing = missingServers([setting]);
  Deno.test({
    name:
      `a nightly run whose ${store} go down while written to publishes nothing, and ends well when tried again${
        missing.length > 0 ? `: ${missing.join(", ")} not set` : ""
      }`,
    ignore: missing.length > 0,
    async fn() {
      let undisturbed: Record<string, string> = {};
      await withFlow(async (flow) => {
        await nightlyRun(flow, SAMPLE);
        await second(flow);
        undisturbed = await digests(flow);
      });
      const { env, drop } = freshServers([setting]);
      const { url, proxy } = proxied(env[setting]!, setting);
      const runs_dir = await Deno.makeTempDir();
      try {
        await withFlow(async (flow) => {
          assert.equal((await nightlyRun(flow, SAMPLE)).outcome, "success");
          const published = await flow.services.analytics.published();
          const services = losing(flow.services, store, () => proxy.down());
          const { outcome, snapshot } = await second({ ...flow, services });
          assert.equal(outcome, "failed");
          const failed = snapshot.tasks.filter(({ state }) => state === "failed").map(({ task_id }) =>
            task_id
          );
          console.log(`${store}: failed at ${failed}: ${snapshot.run.error}`);
          await proxy.up();
          await answers(() => flow.services[store].health());
          assert.deepEqual(await flow.services.analytics.published(), published);
          await retry(flow, snapshot.run.run_id);
          assert.equal((await flow.services.analytics.published())!.version, published!.version + 1);
          assert.deepEqual(await digests(flow), undisturbed);
        }, { ...env, [setting]: url, PARLEY_RUNS: `sqlite:${runs_dir}/runs.db` });
      } finally {
        await proxy.close();
        await drop();
        await Deno.remove(runs_dir, { recursive: true });
      }
    },
  });
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
