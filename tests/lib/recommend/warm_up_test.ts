import assert from "node:assert/strict";
import type { RecommenderStores } from "../../../lib/recommend/recommender.ts";
import { warmUp } from "../../../lib/recommend/warm_up.ts";
import { nightlyRun, SAMPLE, withFlow } from "../../fixtures/flow.ts";
import { openServing } from "../../../commands/services.ts";

/** Whether a call may go on. */
type Call = (store: string, method: string) => boolean;

/** The stores, with each call told first; one that may not go on is rejected. */
function told<Stores extends object>(stores: Stores, call: Call): Stores {
  const watch = (name: string, store: object): object =>
    new Proxy(store, {
      get: (target, method) => {
        const value = Reflect.get(target, method);
        if (typeof value !== "function") return value;
        return (...args: unknown[]) => {
          if (!call(name, String(method))) return Promise.reject(new Error(`${name} is down`));
          const made = value.apply(target, args);
          return method === "of" ? made.then((of: object) => watch(name, of)) : made;
        };
      },
    });
  return Object.fromEntries(
    Object.entries(stores).map(([name, store]) => [name, watch(name, store)]),
  ) as Stores;
}

Deno.test("warmUp() asks each store what answers ask, and outlives the failure of any", () =>
  withFlow(async (flow) => {
    await nightlyRun(flow, SAMPLE);
    const { value, close } = await openServing(flow.config);
    try {
      const calls = new Set<string>();
      const heard: Call = (...call) => calls.add(call.join(".")).size > 0;
      await warmUp({ stores: told<RecommenderStores>(value, heard) });
      for (const asked of ["vectors.search", "graph.engagedBy", "graph.intentsOf", "cache.get"]) {
        assert.ok(calls.has(asked), asked);
      }
      for (const down of ["analytics", "vectors", "graph", "cache"]) {
        await warmUp({ stores: told<RecommenderStores>(value, (store) => store !== down) });
      }
    } finally {
      await close();
    }
  }));
