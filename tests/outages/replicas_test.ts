import assert from "node:assert/strict";
import { dropSchema, freshSchema, PGVECTOR } from "../fixtures/postgres.ts";
import { answers, disturb, killLeader, noticeMs, withReplicas } from "../fixtures/replicas.ts";
import { missingServers } from "../fixtures/servers.ts";

/** Requests that are under way at any time. */
const CLIENTS = 3;

const missing = PGVECTOR === undefined ? ["PARLEY_TEST_PGVECTOR"] : missingServers(["PARLEY_CACHE"]);
Deno.test({
  name:
    "two API processes and two schedulers on one PostgreSQL and a Redis: a kill and a rolling restart cost no answer and no run" +
    (missing.length > 0 ? `: ${missing.join(", ")} not set` : ""),
  ignore: missing.length > 0,
  async fn() {
    const url = freshSchema(PGVECTOR!);
    const cache = new URL(Deno.env.get("PARLEY_TEST_REDIS")!);
    cache.searchParams.set("namespace", crypto.randomUUID());
    try {
      // Enough for a whole answer on a busy machine.
      const env = { PARLEY_STORES: url.href, PARLEY_CACHE: cache.href, PARLEY_ANSWER_MS: "30000" };
      await withReplicas(env, async (replicas) => {
        const [one, other] = await answers(replicas);
        assert.deepEqual(one, other);
        await noticeMs(replicas, "keziah-boateng");
        const { "one killed": killed, "rolling restart": restarted } = await disturb(replicas, {
          clients: CLIENTS,
          steady_ms: 0,
        });
        assert.ok(killed.failures.length <= CLIENTS, killed.failures.join("\n"));
        assert.ok(restarted.requests > CLIENTS);
        assert.deepEqual(restarted.failures, []);
        const minutes = await killLeader(replicas);
        const [first = 0] = minutes;
        assert.deepEqual(minutes, minutes.map((_, n) => first + n), "none is lost, none is doubled");
      });
    } finally {
      await dropSchema(url);
    }
  },
});
