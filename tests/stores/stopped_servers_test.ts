/** A server of the test's own that is stopped under load and started again, as an administrator does. */
import assert from "node:assert/strict";
import { type Asker, PARTS, withAsker } from "../fixtures/faults.ts";
import { digests, type Flow, nightlyRun, SAMPLE, withFlow } from "../fixtures/flow.ts";
import { whyNoServer, withOwnServer } from "../fixtures/own_server.ts";
import { retry, secondRun, undisturbed } from "../fixtures/second_run.ts";
import type { Setting } from "../fixtures/servers.ts";
import { until } from "../fixtures/until.ts";

/** By setting: the script's name, what `X-Cache` says while the server is away, and whether a run meets that too. */
const STOPPED: Readonly<Record<Setting, { name: string; cache: "miss" | "bypass"; run?: true }>> = {
  PARLEY_DOCUMENTS: { name: "mongodb", cache: "miss" },
  PARLEY_VECTORS: { name: "milvus", cache: "miss", run: true },
  PARLEY_GRAPH: { name: "neo4j", cache: "miss" },
  PARLEY_ANALYTICS: { name: "postgres", cache: "bypass" },
  PARLEY_CACHE: { name: "redis", cache: "bypass" },
};

/** New questions that are asked once it is noticed that the server is away. */
const QUESTIONS = 10;

for (const [setting, { name, cache, run = false }] of Object.entries(STOPPED)) {
  const missing = whyNoServer(name);
  Deno.test({
    name: `answers go on while ${name} is stopped, and are whole again once it is started${
      missing === null ? "" : `: ${missing}`
    }`,
    ignore: missing !== null,
    fn: () =>
      withOwnServer(name, (server) =>
        withFlow(async (flow) => {
          assert.equal((await nightlyRun(flow, SAMPLE)).outcome, "success");
          const part = PARTS[setting as Setting];
          const degraded = part === null ? [] : [part];
          await withAsker({ config: flow.config, answer_ms: 1_000 }, async (asker) => {
            const load = keepAsking(asker, degraded);
            await server.stop();
            await until(async () => (await asker.ask()).degraded.length === degraded.length);
            for (let asked = 0; asked < QUESTIONS; asked++) {
              const { ms: _ms, ...shown } = await asker.ask();
              assert.deepEqual(shown, { degraded, cache });
            }
            const failed = run ? await failedRun(flow) : null;
            await server.start();
            await asker.untilWhole();
            const again = asker.next();
            await until(async () => (await asker.ask(again)).cache === "hit");
            assert.ok(await load.stop() > 0);
            if (failed !== null) await retried(flow, failed);
          });
        }, { [setting]: server.url })),
  });
}

/** A nightly run that meets the stopped server: it fails, and publishes nothing. Returns its id. */
async function failedRun(flow: Flow): Promise<string> {
  const { analytics } = flow.services;
  const published = await analytics.published();
  const { outcome, snapshot } = await secondRun(flow);
  assert.equal(outcome, "failed");
  assert.deepEqual(await analytics.published(), published);
  return snapshot.run.run_id;
}

async function retried(flow: Flow, run_id: string): Promise<void> {
  await retry(flow, run_id);
  assert.deepEqual(await digests(flow), await undisturbed());
}

/**
 * Asks new questions one after another until it is stopped; each must be answered, and lack nothing but `degraded`.
 * Returns how many.
 */
function keepAsking(asker: Asker, degraded: readonly string[]): { stop(): Promise<number> } {
  let stopped = false;
  const asking = (async () => {
    let asked = 0;
    for (; !stopped; asked++) {
      const answer = await asker.ask();
      assert.ok(answer.degraded.every((part) => degraded.includes(part)), `degraded: ${answer.degraded}`);
      await new Promise((resume) => setTimeout(resume, 20));
    }
    return asked;
  })();
  return {
    stop() {
      stopped = true;
      return asking;
    },
  };
}
