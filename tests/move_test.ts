/** Moving one store at a time: its URL is changed to an empty one, and the nightly run fills that. */
import assert from "node:assert/strict";
import { digests, nightlyRun, SAMPLE, withFlow } from "./fixtures/flow.ts";
import { embeddedIn, moveOneByOne } from "./fixtures/move.ts";

async function withFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "parley-move-" });
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("a store that is exchanged for an empty one is filled again by the next run, whichever it is", () =>
  withFolder(async (folder) => {
    const { PARLEY_RUNS: _, ...to } = embeddedIn(`${folder}/new`);
    await moveOneByOne(folder, to);
  }));

/** Loads the sample, and returns what the stores then come to. */
async function loaded(env: Record<string, string>): Promise<Record<string, string>> {
  let after = {};
  await withFlow(async (flow) => {
    await nightlyRun(flow, SAMPLE);
    after = await digests(flow);
  }, env);
  return after;
}

Deno.test("vectors of messages whose sources are gone are made from the stored rows", () =>
  withFolder(async (folder) => {
    const env = embeddedIn(folder);
    const before = await loaded(env);
    await withFlow(async (flow) => {
      assert.equal((await nightlyRun(flow, { campaigns: SAMPLE.campaigns })).outcome, "success");
      assert.deepEqual(await digests(flow), before);
    }, { ...env, PARLEY_VECTORS: `sqlite:${folder}/new/vectors.db` });
  }));

Deno.test("campaigns that no source has any more are restored in a replaced graph", () =>
  withFolder(async (folder) => {
    const env = embeddedIn(folder);
    const before = await loaded(env);
    await withFlow(async (flow) => {
      assert.equal((await nightlyRun(flow, {})).outcome, "success");
      assert.deepEqual(await digests(flow), before);
    }, { ...env, PARLEY_GRAPH: `sqlite:${folder}/new/graph.db` });
  }));
