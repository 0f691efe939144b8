/** A user is erased from all stores on one PostgreSQL. */
import assert from "node:assert/strict";
import { systemClock } from "../../lib/core/clock.ts";
import { applyTombstones } from "../../lib/privacy/apply_tombstones.ts";
import { eraseUsers } from "../../lib/privacy/erase_users.ts";
import { readUser } from "../../lib/privacy/read_user.ts";
import { MemoryCache } from "../../lib/stores/cache/memory/memory_cache.ts";
import { type Flow, runDag, withFlow } from "../fixtures/flow.ts";
import { MARKED, plantMarkedUser } from "../fixtures/marked_user.ts";
import { dropSchema, freshSchema, NEEDS_PGVECTOR, PGVECTOR } from "../fixtures/postgres.ts";

const NAME = "an erased user is found by no read of one PostgreSQL, and no later tombstone is lacking";

async function recordsOf({ services, runs }: Flow): Promise<string[]> {
  const found = await Array.fromAsync(readUser({ stores: { ...services, runs }, user_id: MARKED }));
  return found.filter(({ kind }) => kind !== "preferences").map(({ store, kind }) => `${store} ${kind}`);
}

if (PGVECTOR === undefined) Deno.test.ignore(`${NAME}: ${NEEDS_PGVECTOR}`, () => {});
else {
  const url = freshSchema(PGVECTOR);
  Deno.test(NAME, async () => {
    try {
      await withFlow(async (flow) => {
        await plantMarkedUser(flow);
        const held = new Set((await recordsOf(flow)).map((record) => record.split(" ")[0]));
        assert.deepEqual([...held].sort(), [
          "analytics",
          "artifacts",
          "documents",
          "exports",
          "graph",
          "runs",
          "vectors",
        ]);
        const stores = { ...flow.services, cache: new MemoryCache({ max_bytes: 1_000 }) };
        const log = () => {};
        await eraseUsers({ stores, clock: systemClock, user_ids: [MARKED], log });
        const { outcome, snapshot } = await runDag(flow, "erase", {});
        assert.equal(outcome, "success", snapshot.run.error ?? "");
        assert.deepEqual(await recordsOf(flow), []);
        const applied = await applyTombstones({ stores, clock: systemClock, log });
        assert.deepEqual(applied, { users: 0, lacking: [], foreign: 0 });
        // As after a restore of one store from before the erasure.
        const hashes = await stores.graph.tombstones.page({ after: null, limit: 9 });
        await stores.graph.tombstones.remove({ hashes });
        const edge = { user_id: MARKED, intent: "boots", count: 1, last: "2026-01-01T00:00:00.000Z" };
        await stores.graph.setExpressed({ user_ids: [MARKED], edges: [edge] });
        const again = await applyTombstones({ stores, clock: systemClock, log });
        assert.deepEqual(again, { users: 1, lacking: ["graph"], foreign: 0 });
        assert.deepEqual(await recordsOf(flow), []);
      }, { PARLEY_STORES: url.href });
    } finally {
      await dropSchema(url);
    }
  });
}
