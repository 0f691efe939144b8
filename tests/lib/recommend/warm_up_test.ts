import assert from "node:assert/strict";
import type { RecommenderStores } from "../../../lib/recommend/recommender.ts";
import { warmUp } from "../../../lib/recommend/warm_up.ts";
import { nightlyRun, SAMPLE, withFlow } from "../../fixtures/flow.ts";
import { type Call, told } from "../../fixtures/told.ts";
import { openServing } from "../../../commands/services.ts";

Deno.test("warmUp() asks each store what answers ask, and outlives the failure of any", () =>
  withFlow(async (flow) => {
    await nightlyRun(flow, SAMPLE);
    const { value, close } = await openServing(flow.config);
    try {
      const calls = new Set<string>();
      const heard: Call = (store, method) => calls.add(`${store}.${method}`).size > 0;
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
