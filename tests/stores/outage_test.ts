/** PostgreSQL goes away under two processes that share a Redis, one of which starts meanwhile. */
import assert from "node:assert/strict";
import { PARTS, proxied, withAsker } from "../fixtures/faults.ts";
import { nightlyRun, SAMPLE, withFlow } from "../fixtures/flow.ts";
import { freshServers, missingServers, type Setting } from "../fixtures/servers.ts";
import { openServing } from "../../commands/services.ts";
import { systemClock } from "../../lib/core/clock.ts";
import { markErased } from "../../lib/recommend/answer_cache.ts";
import { Recommender } from "../../lib/recommend/recommender.ts";

const SETTINGS: Setting[] = ["PARLEY_ANALYTICS", "PARLEY_CACHE"];
/** So much that nothing is late on a busy machine. */
const ANSWER_MS = 10_000;

const missing = missingServers(SETTINGS);
Deno.test({
  name: `what Redis holds is served while PostgreSQL is down, by a process that has just started too${
    missing.length > 0 ? `: ${missing.join(", ")} not set` : ""
  }`,
  ignore: missing.length > 0,
  async fn() {
    const { env, drop } = freshServers(SETTINGS);
    const { url, proxy } = proxied(env.PARLEY_ANALYTICS!);
    const degraded = [PARTS.PARLEY_ANALYTICS!];
    try {
      await withFlow(async ({ config, ...flow }) => {
        assert.equal((await nightlyRun({ config, ...flow }, SAMPLE)).outcome, "success");
        await withAsker({ config, answer_ms: ANSWER_MS }, async (asker) => {
          const [one, two] = [asker.next(), "/recommendations/pip-longstaff?k=7"];
          for (const path of [one, two]) assert.deepEqual((await asker.ask(path)).degraded, []);
          proxy.down();
          const { ms: _ms, ...shown } = await asker.ask(one);
          assert.deepEqual(shown, { items: shown.items, degraded, cache: "stale" });
          const { items, cache } = await asker.ask();
          assert.ok(items > 0 && cache === "bypass", "what was popular last");
          const { value: stores, close } = await openServing(config);
          try {
            const started = new Recommender({ stores, clock: systemClock, answer_ms: ANSWER_MS });
            const ask = () => started.serve({ user_id: "pip-longstaff", k: 7 });
            const { body, ...served } = await ask();
            assert.deepEqual([served.cache, JSON.parse(body).items.length], ["stale", 7]);
            await markErased({ cache: stores.cache, user_ids: ["pip-longstaff"] });
            assert.equal((await ask()).cache, "bypass", "not of a user who was erased");
          } finally {
            await close();
          }
          await proxy.up();
          await asker.untilWhole(one);
        });
      }, { ...env, PARLEY_ANALYTICS: url });
    } finally {
      await proxy.close();
      await drop();
    }
  },
});
