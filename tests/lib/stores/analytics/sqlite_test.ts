import assert from "node:assert/strict";
import type { EngagementEvent } from "../../../../lib/core/types.ts";
import { SqliteAnalytics } from "../../../../lib/stores/analytics/sqlite.ts";
import { analyticsContract } from "../../../contracts/analytics.ts";
import { inFiles } from "../../../fixtures/files.ts";
import { handlesIn } from "../../../fixtures/handles.ts";
import { event, minute } from "../../../fixtures/rows.ts";

analyticsContract(
  "SqliteAnalytics",
  () => handlesIn((dir) => new SqliteAnalytics({ path: `${dir}/analytics.db` })),
);

Deno.test("SqliteAnalytics.deleteUsers() leaves no byte of them", async () => {
  const dir = await Deno.makeTempDir();
  const store = new SqliteAnalytics({ path: `${dir}/analytics.db` });
  const own = (metadata: EngagementEvent["metadata"]) => event({ user_id: "erased-user", metadata });
  await store.upsertEvents({ events: Array.from({ length: 200 }, (_, n) => own({ said: `secret-${n}` })) });
  await store.upsertEvents({ events: [event()] });
  assert.ok(await inFiles(dir, "secret-7") && await inFiles(dir, "erased-user"));
  await store.deleteUsers({ user_ids: ["erased-user"] });
  assert.equal(await inFiles(dir, "secret-"), false, "while open");
  assert.equal(await inFiles(dir, "erased-user"), false, "while open");
  await store.close();
  assert.equal(await inFiles(dir, "erased-user"), false, "after close");
  await Deno.remove(dir, { recursive: true });
});

Deno.test("two SqliteAnalytics of one file publish one after the other", async () => {
  const dir = await Deno.makeTempDir();
  const stores = [1, 2].map(() => new SqliteAnalytics({ path: `${dir}/analytics.db`, busy_ms: 20 }));
  const [one, two] = stores as [SqliteAnalytics, SqliteAnalytics];
  const published = { run_id: "run", model: "m", at: minute(1) };
  await one.publish({ published: { ...published, version: 1 }, sources: [] });
  assert.equal((await two.published())?.version, 1);
  await two.publish({ published: { ...published, version: 2 }, sources: [] });
  await assert.rejects(one.publish({ published: { ...published, version: 1 }, sources: [] }), {
    code: "conflict",
    message: "data version 1 is not newer than 2, which run run published",
  });
  await one.upsertEvents({ events: [event({ user_id: "a" })] });
  assert.ok(await two.epoch({ user_id: "a" }) > 0);
  for (const store of stores) await store.close();
  await Deno.remove(dir, { recursive: true });
});
