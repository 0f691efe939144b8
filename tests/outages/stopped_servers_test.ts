/** A server of the test's own that is stopped under load and started again, as an administrator does. */
import assert from "node:assert/strict";
import { sleep } from "../../lib/core/abort.ts";
import { type Asker, PARTS, withAsker } from "../fixtures/faults.ts";
import { digests, type Flow, nightlyRun, SAMPLE, withFlow } from "../fixtures/flow.ts";
import { whyNoServer, withOwnServer } from "../fixtures/own_server.ts";
import { retry, secondRun, undisturbed } from "../fixtures/second_run.ts";
import type { Setting } from "../fixtures/servers.ts";
import { until } from "../fixtures/until.ts";

/** The script's name, what `X-Cache` says while the server is away, and whether a run meets that too. */
const STOPPED: readonly { setting: Setting; name: string; cache: "miss" | "bypass"; run?: true }[] = [
  { setting: "PARLEY_DOCUMENTS", name: "mongodb", cache: "miss" },
  { setting: "PARLEY_DOCUMENTS", name: "postgres", cache: "miss" },
  { setting: "PARLEY_VECTORS", name: "milvus", cache: "miss", run: true },
  { setting: "PARLEY_GRAPH", name: "neo4j", cache: "miss" },
  { setting: "PARLEY_GRAPH", name: "postgres", cache: "miss", run: true },
  { setting: "PARLEY_ANALYTICS", name: "postgres", cache: "bypass" },
  { setting: "PARLEY_CACHE", name: "redis", cache: "bypass" },
];

/** So much that a stage is late only because its server is away, and not because another one's start takes the machine. */
const ANSWER_MS = 10_000;
/** New questions that are asked once it is noticed that the server is away. */
const QUESTIONS = 10;

for (const { setting, name, cache, run = false } of STOPPED) {
  const missing = whyNoServer(name);
  Deno.test({
    name: `answers continue while ${name} with ${setting} is stopped, and are whole again once it is started${
      missing === null ? "" : `: ${missing}`
    }`,
    ignore: missing !== null,
    fn: () =>
      withOwnServer(name, (server) =>
        withFlow(async (flow) => {
          assert.equal((await nightlyRun(flow, SAMPLE)).outcome, "success");
          const part = PARTS[setting];
          const degraded = part === null ? [] : [part];
          await withAsker({ config: flow.config, answer_ms: ANSWER_MS }, async (asker) => {
            const cached = asker.next();
            await until(async () => (await asker.ask(cached)).cache === "hit");
            await using load = keepAsking(asker, degraded);
            await server.stop();
            await until(async () => (await asker.ask()).degraded.length === degraded.length);
            for (let asked = 0; asked < QUESTIONS; asked++) {
              const { ms: _ms, items, ...shown } = await asker.ask();
              assert.deepEqual(shown, { degraded, cache });
              assert.ok(items > 0, "no answer is empty");
            }
            // Analytics says whether a cached answer still holds; without it, one is served unchecked.
            if (setting === "PARLEY_ANALYTICS") {
              const { ms: _ms, items, ...shown } = await asker.ask(cached);
              assert.deepEqual(shown, { degraded, cache: "stale" });
              assert.ok(items > 0);
            }
            const failed = run ? await failedRun(flow) : null;
            await server.start();
            await asker.untilWhole();
            const repeated = asker.next();
            await until(async () => (await asker.ask(repeated)).cache === "hit");
            assert.ok(await load.end() > 0);
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

/** Asks new questions one after another until it ends; each must be answered, and lack nothing but `degraded`. */
function keepAsking(asker: Asker, degraded: readonly string[]): AsyncDisposable & { end(): Promise<number> } {
  const ended = new AbortController();
  const asking = (async () => {
    let asked = 0;
    for (; !ended.signal.aborted; asked++) {
      const answer = await asker.ask();
      assert.ok(answer.degraded.every((part) => degraded.includes(part)), `degraded: ${answer.degraded}`);
      assert.ok(answer.items > 0, "no answer is empty");
      await sleep(20, ended.signal);
    }
    return asked;
  })();
  asking.catch(() => ended.abort());
  return {
    /** How many it asked; rejects where one of them was not answered so. */
    end() {
      ended.abort();
      return asking;
    },
    async [Symbol.asyncDispose]() {
      ended.abort();
      await Promise.allSettled([asking]);
    },
  };
}
