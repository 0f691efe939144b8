import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { sleep } from "../../../../lib/core/abort.ts";
import type { EngagementEvent } from "../../../../lib/core/types.ts";
import { ANALYTICS_MIGRATIONS } from "../../../../lib/stores/analytics/schema.ts";
import { SqliteAnalytics } from "../../../../lib/stores/analytics/sqlite/sqlite_analytics.ts";
import { PART_BYTES } from "../../../../lib/stores/analytics/file_parts.ts";
import { all } from "../../../../lib/stores/engines/sql.ts";
import type { SqliteDatabase } from "../../../../lib/stores/engines/sqlite/sqlite_database.ts";
import { Sqlite } from "../../../../lib/stores/engines/sqlite/sqlite.ts";
import { analyticsContract } from "../../../contracts/analytics.ts";
import { inFiles } from "../../../fixtures/files.ts";
import { handlesIn } from "../../../fixtures/handles.ts";
import { campaign, event, minute } from "../../../fixtures/rows.ts";

analyticsContract(
  "SqliteAnalytics",
  () => handlesIn((dir) => new SqliteAnalytics({ path: `${dir}/analytics.db` })),
  (store, sql) => store["db"].query(() => all(sql)),
);

Deno.test("SqliteAnalytics.deleteUsers() leaves no byte of them", async () => {
  const dir = await Deno.makeTempDir();
  const store = new SqliteAnalytics({ path: `${dir}/analytics.db` });
  const own = (metadata: EngagementEvent["metadata"]) => event({ user_id: "erased-user", metadata });
  await store.upsertEvents({ events: Array.from({ length: 200 }, (_, n) => own({ said: `secret-${n}` })) });
  await store.upsertEvents({ events: [event()] });
  const said = {
    user_id: "erased-user",
    words: Object.fromEntries(Array.from({ length: 900 }, (_, n) => [`secret-${n}`, 1])),
  };
  await store.setWords({
    user_ids: ["erased-user"],
    profiles: [{ ...said, named: [], negations: [] }],
    conversations: [{ ...said, conversation_id: "c", named: 0, named_shown: 0 }],
  });
  assert.ok(await inFiles(dir, "secret-7") && await inFiles(dir, "erased-user"));
  await store.deleteUsers({ user_ids: ["erased-user"] });
  assert.equal(await inFiles(dir, "secret-"), false, "while open");
  assert.equal(await inFiles(dir, "erased-user"), false, "while open");
  await store.close();
  assert.equal(await inFiles(dir, "erased-user"), false, "after close");
  await Deno.remove(dir, { recursive: true });
});

Deno.test("SqliteAnalytics.epochs() knows own writes at once, and those of another process soon", async () => {
  const dir = await Deno.makeTempDir();
  const [one, two] = [1, 2].map(() => new SqliteAnalytics({ path: `${dir}/analytics.db`, notice_ms: 5 }));
  const epochs = async () =>
    await Promise.all([one!, two!].map(async (store) => (await store.epochs({ user_id: "a" })).user));
  await epochs();
  for (let round = 0; round < 3; round++) {
    const [before] = await epochs();
    await one!.upsertEvents({ events: [event({ user_id: "a" })] });
    const [own] = await epochs();
    assert.ok(own! > before!);
    while ((await epochs())[1]! < own!) await sleep(1);
    assert.deepEqual(await epochs(), [own, own]);
  }
  for (const store of [one!, two!]) await store.close();
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
  assert.ok((await two.epochs({ user_id: "a" })).user > 0);
  for (const store of stores) await store.close();
  await Deno.remove(dir, { recursive: true });
});

Deno.test("SqliteAnalytics keeps what a file held before versions had files", async () => {
  const dir = await Deno.makeTempDir();
  const path = `${dir}/analytics.db`;
  const former = new Sqlite({ path, migrations: ANALYTICS_MIGRATIONS.slice(0, 2) });
  const values = ["e", "a", "k", "click", minute(1)];
  former.run(
    "INSERT INTO events (event_id, user_id, campaign_id, type, timestamp) VALUES (?, ?, ?, ?, ?)",
    ...values,
  );
  former.close();
  const store = new SqliteAnalytics({ path });
  const [kept] = await store.eventsOf({ user_ids: ["a"], limit: 5 });
  assert.deepEqual([kept?.event_id, kept?.metadata], ["e", null]);
  assert.equal(await store.file({ version: 1, name: "weights" }), null);
  await store.saveFile({ version: 1, name: "weights", bytes: Uint8Array.of(7) });
  assert.deepEqual(await store.file({ version: 1, name: "weights" }), Uint8Array.of(7));
  await store.close();
  await Deno.remove(dir, { recursive: true });
});

Deno.test("SqliteAnalytics finds campaigns that a file held before it had their words", async () => {
  const dir = await Deno.makeTempDir();
  const path = `${dir}/analytics.db`;
  const former = new Sqlite({ path, migrations: ANALYTICS_MIGRATIONS.slice(0, 6) });
  for (const [id, title] of [["a", "Trail map"], ["b", "Jacket"], ["c", "TRAIL shoes"]] as const) {
    former.run(
      "INSERT INTO campaigns (campaign_id, title, intents, tags, status) VALUES (?, ?, '[]', '[]', 'active')",
      id,
      title,
    );
  }
  former.close();
  const store = new SqliteAnalytics({ path });
  const find = async (limit: number) =>
    (await store.campaignPage({ after: null, limit, search: { words: ["trail"] } })).map((row) =>
      row.campaign_id
    );
  assert.deepEqual(await find(9), ["a", "c"]);
  assert.deepEqual(await find(2), ["a", "c"]);
  const campaigns = await store.campaigns({ campaign_ids: ["a", "c"] });
  assert.equal((await store.upsertCampaigns({ campaigns })).changed, 2);
  assert.deepEqual(await find(1), ["a"]);
  await store.close();
  await Deno.remove(dir, { recursive: true });
});

Deno.test("SqliteAnalytics looks for words in parts of the catalogue, and reads no part twice", async () => {
  const store = new SqliteAnalytics({ path: ":memory:" });
  const { sqlite } = store["db"] as SqliteDatabase;
  const searches = new Set<string>();
  const execute = sqlite.execute.bind(sqlite);
  sqlite.execute = (statement) => {
    if (statement.sql.includes("instr(words")) searches.add(statement.sql);
    return execute(statement);
  };
  await store.upsertCampaigns({ campaigns: [campaign()] });
  await store.campaignPage({ after: null, limit: 5, search: { words: ["k"] } });
  const plans = [...searches].map((sql) =>
    sqlite.all<{ detail: string }>(`EXPLAIN QUERY PLAN ${sql}`).map(({ detail }) => detail).join()
  );
  await store.close();
  assert.equal(plans.length, 1);
  assert.match(plans[0]!, /campaign_id>\? AND campaign_id<\?/, "both ends bound what is read");
});

Deno.test("SqliteAnalytics.saveFile() that is given up leaves the file before it, and the next attempt replaces that", async () => {
  const store = new SqliteAnalytics({ path: ":memory:" });
  const [former, bytes] = [1, 2].map((filler) => new Uint8Array(40 * PART_BYTES).fill(filler)) as [
    Uint8Array,
    Uint8Array,
  ];
  const file = { version: 1, name: "weights" };
  await store.saveFile({ ...file, bytes: former });
  const controller = new AbortController();
  const { sqlite } = store["db"] as SqliteDatabase;
  const execute = sqlite.execute.bind(sqlite);
  let parts = 0;
  sqlite.execute = (statement) => {
    if (statement.sql.startsWith("INSERT INTO files") && ++parts === 10) {
      controller.abort();
      // As long as one transaction may take: the next one finds the signal aborted.
      for (const end = performance.now() + 20; performance.now() < end;);
    }
    return execute(statement);
  };
  await assert.rejects(store.saveFile({ ...file, bytes, signal: controller.signal }), { name: "AbortError" });
  assert.ok(parts < 40, `${parts} of 40 parts were written`);
  assert.ok(Buffer.from(former).equals((await store.file(file))!));
  await store.saveFile({ ...file, bytes });
  assert.ok(Buffer.from(bytes).equals((await store.file(file))!));
  await store.close();
});

/** Tables that grow with users, events or campaigns. */
const LARGE =
  /^SCAN (events|campaigns|stats|touched|epochs|files|sources|profile_words|conversation_words)\b/;

Deno.test("SqliteAnalytics scans no table for what a request or a write of some users asks", async () => {
  const store = new SqliteAnalytics({ path: ":memory:" });
  const { sqlite } = store["db"] as SqliteDatabase;
  const statements = new Set<string>();
  const [execute, run] = [sqlite.execute.bind(sqlite), sqlite.run.bind(sqlite)];
  sqlite.execute = (statement) => {
    statements.add(statement.sql);
    return execute(statement);
  };
  sqlite.run = (sql, ...values) => {
    statements.add(sql);
    return run(sql, ...values);
  };
  const [row, at] = [event({ user_id: "a", campaign_id: "k" }), minute(1)];
  const [user_ids, campaign_ids, version] = [["a"], ["k"], 1];
  await store.upsertCampaigns({ campaigns: [campaign({ campaign_id: "k" })] });
  await store.upsertEvents({ events: [row] });
  await store.upsertEvents({ events: [{ ...row, type: "conversion" }] });
  await store.buildStats({ version, half_life_days: 1, latest: at });
  await store.saveFile({ version, name: "weights", bytes: Uint8Array.of(1) });
  await store.setWords({
    user_ids,
    profiles: [{ user_id: "a", words: {}, named: [], negations: [] }],
    conversations: [{ conversation_id: "c", user_id: "a", words: {}, named: 0, named_shown: 0 }],
  });
  (await store.epochs({ user_id: "a" })).user;
  await store.stats({ version, campaign_ids });
  await store.popular({ version, limit: 5 });
  await store.campaigns({ campaign_ids });
  await store.campaignPage({ after: null, limit: 5, search: { words: ["k"], status: "active" } });
  await store.engagement({ user_ids });
  await store.eventsOf({ user_ids, limit: 5 });
  await store.finalEngagement({ user_id: "a" });
  await store.profileWords({ user_id: "a" });
  await store.conversationWords({ after: null, limit: 5 });
  await store.file({ version, name: "weights" });
  await store.users({ after: null, limit: 5 });
  await store.knownUsers({ after: null, limit: 5 });
  await store.daily({ since: at, until: at });
  await store.daily({ since: at, until: at, campaign_id: "k" });
  await store.byStrategy({ since: at, until: at, campaign_id: "k", limit: 5 });
  await store.armEngagement({ since: at, until: at, arms: ["x/a"] });
  await store.recentUsers({ campaign_id: "k", limit: 5 });
  await store.markAllDirty();
  await store.clearDirty({ users: await store.listDirtyUsers({ after: null, limit: 5 }) });
  await store.deleteCampaigns({ campaign_ids });
  await store.source({ kind: "events", uri: "file:a" });
  const scans = [...statements].filter((sql) => !sql.startsWith("PRAGMA")).flatMap((sql) =>
    sqlite.all<{ detail: string }>(`EXPLAIN QUERY PLAN ${sql}`).map(({ detail }) => ({ sql, detail }))
  ).filter(({ detail }) => LARGE.test(detail));
  await store.close();
  assert.ok(statements.size > 30, `${statements.size} statements were seen`);
  assert.deepEqual(scans, []);
});
