import assert from "node:assert/strict";
import { GRAPH_MIGRATIONS } from "../../../../lib/stores/graph/schema.ts";
import { SqliteGraph } from "../../../../lib/stores/graph/sqlite/sqlite_graph.ts";
import { Sqlite } from "../../../../lib/stores/engines/sqlite/sqlite.ts";
import { graphContract } from "../../../contracts/graph.ts";
import { inFiles } from "../../../fixtures/files.ts";
import { handlesIn } from "../../../fixtures/handles.ts";
import { minute } from "../../../fixtures/rows.ts";

graphContract("SqliteGraph", () => handlesIn((dir) => new SqliteGraph({ path: `${dir}/graph.db` })));

Deno.test("SqliteGraph stops writing between two batches when its caller's signal is aborted", async () => {
  const store = new SqliteGraph({ path: ":memory:" });
  const user_ids = Array.from({ length: 20_000 }, (_, n) => `u${n}`);
  const edges = user_ids.map((user_id) => ({
    user_id,
    intent: "x",
    count: 1,
    last: "2026-01-01T00:00:00.000Z",
  }));
  const controller = new AbortController();
  const writing = assert.rejects(store.setExpressed({ user_ids, edges, signal: controller.signal }), {
    name: "AbortError",
  });
  while ((await store.counts()).expressed === 0) await new Promise((resume) => setTimeout(resume, 0));
  controller.abort();
  await writing;
  const { expressed } = await store.counts();
  assert.ok(expressed > 0 && expressed < edges.length, `${expressed} edges`);
  assert.equal(await store.setExpressed({ user_ids, edges }), edges.length);
  await store.close();
});

Deno.test("SqliteGraph.deleteUsers() leaves no byte of them, also for another handle", async () => {
  const dir = await Deno.makeTempDir();
  const [one, two] = [1, 2].map(() => new SqliteGraph({ path: `${dir}/graph.db` })) as [
    SqliteGraph,
    SqliteGraph,
  ];
  const edge = { user_id: "erased-user", intent: "x", count: 1, last: "2026-01-01T00:00:00.000Z" };
  const counts = { impressions: 1, clicks: 0, conversions: 0, dismissals: 0 };
  const engagement = [{ campaign_id: "k", ...counts }];
  const conversations = [{ conversation_id: "erased-talk", user_id: "erased-user", engagement }];
  await one.setExpressed({ user_ids: ["erased-user"], edges: [edge] });
  await one.setConversations({ user_ids: ["erased-user"], conversations });
  assert.deepEqual(await two.intentsOf({ user_id: "erased-user", limit: 1 }), [edge]);
  assert.ok(await inFiles(dir, "erased-user") && await inFiles(dir, "erased-talk"));
  await two.deleteUsers({ user_ids: ["erased-user"] });
  assert.deepEqual(await one.intentsOf({ user_id: "erased-user", limit: 1 }), []);
  for (const name of ["erased-user", "erased-talk"]) assert.equal(await inFiles(dir, name), false, name);
  await one.close();
  await two.close();
  await Deno.remove(dir, { recursive: true });
});

Deno.test("SqliteGraph keeps what a file held before there were conversations", async () => {
  const dir = await Deno.makeTempDir();
  const path = `${dir}/graph.db`;
  const former = new Sqlite({ path, migrations: GRAPH_MIGRATIONS.slice(0, 1) });
  former.run("INSERT INTO campaigns VALUES ('k')");
  former.run("INSERT INTO engaged VALUES ('a', 'k', 1, 2, 3, 4, '2026-01-01T00:00:00.000Z')");
  former.close();
  const store = new SqliteGraph({ path });
  assert.equal((await store.counts()).campaigns, 1);
  const [edge] = await store.engagedBy({ user_ids: ["a"], limit: 1 });
  assert.deepEqual([edge?.campaign_id, edge?.dismissals], ["k", 4]);
  const counts = { impressions: 1, clicks: 0, conversions: 0, dismissals: 0 };
  const conversations = [{
    conversation_id: "v",
    user_id: "a",
    engagement: [{ campaign_id: "k", ...counts }],
  }];
  assert.equal(await store.setConversations({ user_ids: ["a"], conversations }), 1);
  await store.close();
  await Deno.remove(dir, { recursive: true });
});

Deno.test("SqliteGraph.deleteCampaigns() finds edges in all parts of a long table", async () => {
  const store = new SqliteGraph({ path: ":memory:" });
  const user_ids = Array.from({ length: 6_000 }, (_, at) => `u-${at}`);
  const edge = { impressions: 1, clicks: 0, conversions: 0, dismissals: 0, last: minute(1) };
  const edges = user_ids.flatMap((user_id, at) =>
    [`k-${at % 2}`, "k-2"].map((campaign_id) => ({ user_id, campaign_id, ...edge }))
  );
  await store.setEngaged({ user_ids, edges });
  assert.equal(await store.deleteCampaigns({ campaign_ids: ["k-0", "k-2"] }), 9_000);
  const left = await Array.fromAsync(store.edges({ type: "engaged" }));
  assert.deepEqual([left.length, new Set(left.map(({ campaign_id }) => campaign_id))], [
    3_000,
    new Set(["k-1"]),
  ]);
  await store.close();
});
