import assert from "node:assert/strict";
import { compareText } from "../../lib/core/text.ts";
import { PostgresAnalytics } from "../../lib/stores/analytics/postgres/postgres_analytics.ts";
import { SqliteAnalytics } from "../../lib/stores/analytics/sqlite/sqlite_analytics.ts";
import { ANALYTICS_MIGRATIONS } from "../../lib/stores/analytics/schema.ts";
import { PostgresDatabase } from "../../lib/stores/engines/postgres/postgres_database.ts";
import { Postgres } from "../../lib/stores/engines/postgres/postgres.ts";
import { all, run } from "../../lib/stores/engines/sql.ts";
import { analyticsContract } from "../contracts/analytics.ts";
import { many } from "../contracts/analytics_versions.ts";
import { handles } from "../fixtures/handles.ts";
import { ask, dropSchema, freshSchema, onEachPostgres, tableScans } from "../fixtures/postgres.ts";
import { campaign, event, LATEST } from "../fixtures/rows.ts";
import { until } from "../fixtures/until.ts";
import { proxied } from "../fixtures/tcp_proxy.ts";

onEachPostgres("PostgresAnalytics", suite);

/** Gives a store in a schema of its own. */
async function withStore(
  server: string,
  body: (store: PostgresAnalytics) => Promise<void>,
): Promise<void> {
  const url = freshSchema(server);
  const store = new PostgresAnalytics({ url });
  try {
    await body(store);
  } finally {
    await store.close();
    await dropSchema(url);
  }
}

/** Ids in which the orders of code points, of code units and of languages differ. */
const ODD_IDS = ["b", "B", "a", "ä", "é", "e\u0301", "\uffee", "😀", "_", "a b", "a-b", "ab"];

function suite(server: string, name: string): void {
  analyticsContract(
    name,
    () => {
      const url = freshSchema(server);
      return handles(() => new PostgresAnalytics({ url }), () => dropSchema(url));
    },
    (store, sql) => store["db"].query(() => all(sql)),
    () => {
      const direct = freshSchema(server);
      const { url, proxy } = proxied(direct, 5_432);
      const store = new PostgresAnalytics({ url });
      return Promise.resolve({
        store,
        hang: proxy.hang,
        close: async () => {
          await store.close();
          await proxy.close();
          await dropSchema(direct);
        },
      });
    },
  );

  Deno.test(`${name}.markAllDirty() marks all users, never many in one statement`, async () => {
    const url = freshSchema(server);
    const store = new PostgresAnalytics({ url });
    const ids = Array.from({ length: 1_200 }, (_, n) => `user-${1_000 + n}`);
    await store.upsertEvents({ events: ids.map((user_id) => event({ user_id })) });
    await store.clearDirty({ users: await store.listDirtyUsers({ after: null, limit: 2_000 }) });
    const schema = url.searchParams.get("schema");
    await ask(
      url,
      `CREATE FUNCTION ${schema}.bound() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
         IF (SELECT count(*) FROM fresh) > 500 THEN RAISE EXCEPTION 'too many at once'; END IF;
         RETURN NULL;
       END $$;
       CREATE TRIGGER bound AFTER INSERT ON ${schema}.touched REFERENCING NEW TABLE AS fresh
       EXECUTE FUNCTION ${schema}.bound()`,
    );
    await store.markAllDirty();
    const touched = await store.listDirtyUsers({ after: null, limit: 2_000 });
    assert.deepEqual(touched.map(({ user_id }) => user_id), ids);
    await store.close();
    await dropSchema(url);
  });

  Deno.test(`${name} is the same as SqliteAnalytics for the same rows`, () =>
    withStore(server, async (store) => {
      const sqlite = new SqliteAnalytics({ path: ":memory:" });
      const campaigns = ODD_IDS.map((campaign_id) => campaign({ campaign_id, title: "lone \ud800 and \0" }));
      const events = many(2_500).map((row, i) => ({
        ...row,
        campaign_id: ODD_IDS[i % ODD_IDS.length]!,
        metadata: { said: "nul \0, lone \ud800", n: 0.1 * i, nested: [{ "😀": null }] },
      }));
      const results = [];
      for (const each of [store, sqlite]) {
        const counts = [await each.upsertCampaigns({ campaigns }), await each.upsertEvents({ events })];
        await each.buildStats({ version: 1, half_life_days: 3, latest: LATEST });
        results.push({
          counts,
          digest: await each.digest(),
          page: await each.campaignPage({ after: "a", limit: 9 }),
          popular: await each.popular({ version: 1, limit: 20 }),
          stats: await each.stats({ version: 1, campaign_ids: [...ODD_IDS, "none", "a"] }),
          engagement: await each.engagement({ user_ids: ["user-1", "user-2"] }),
          final: await each.finalEngagement({ user_id: "user-3" }),
          touched: (await each.listDirtyUsers({ after: null, limit: 20 })).map(({ user_id }) => user_id),
        });
      }
      await sqlite.close();
      const [postgres, reference] = results;
      assert.deepEqual(postgres, reference);
      assert.deepEqual(postgres?.page.map((row) => row.campaign_id)[0], "a b");
    }));

  Deno.test(`${name} takes ids with texts that no server keeps`, () =>
    withStore(server, async (store) => {
      const [user_id, campaign_id] = ["nul \0", "lone \ud800"];
      await store.upsertCampaigns({ campaigns: [campaign({ campaign_id })] });
      await store.upsertEvents({ events: [event({ user_id, campaign_id })] });
      const stored = { user_id: "nul \ufffd", campaign_id: "lone \ufffd" };
      const [engagement] = await store.engagement({ user_ids: [user_id] });
      assert.deepEqual([engagement?.user_id, engagement?.campaign_id], Object.values(stored));
      assert.equal((await store.campaigns({ campaign_ids: [campaign_id] })).length, 1);
      assert.equal((await store.stats({ version: 1, campaign_ids: [campaign_id] })).length, 1);
      const dirty = await store.listDirtyUsers({ after: null, limit: 5 });
      assert.deepEqual(dirty.map((row) => row.user_id), [stored.user_id]);
      assert.equal(await store.deleteUsers({ user_ids: [user_id] }), 1);
    }));

  Deno.test(`${name} lists ids by code point`, () =>
    withStore(server, async (store) => {
      await store.upsertCampaigns({ campaigns: ODD_IDS.map((id) => campaign({ campaign_id: id })) });
      const page = await store.campaignPage({ after: null, limit: 100 });
      assert.deepEqual(page.map((row) => row.campaign_id), ODD_IDS.toSorted(compareText));
      const stats = await store.stats({ version: 1, campaign_ids: ODD_IDS });
      assert.deepEqual(stats.map((row) => row.campaign_id), ODD_IDS.toSorted(compareText));
    }));

  Deno.test(`${name} keeps what a schema held before versions had files`, async () => {
    const url = freshSchema(server);
    const migrations = ANALYTICS_MIGRATIONS.slice(0, 2);
    const former = new PostgresDatabase({ url, store: "analytics", migrations });
    const row = event({ user_id: "a" });
    const insert =
      "INSERT INTO events (event_id, user_id, campaign_id, type, timestamp) VALUES ($1, $2, $3, $4, $5)";
    await former.write(() =>
      run(insert, row.event_id, row.user_id, row.campaign_id, row.type, row.timestamp)
    );
    await former.close();
    const store = new PostgresAnalytics({ url });
    assert.deepEqual(await store.eventsOf({ user_ids: ["a"], limit: 5 }), [row]);
    await store.saveFile({ version: 1, name: "weights", bytes: Uint8Array.of(0, 92, 255) });
    assert.deepEqual(await store.file({ version: 1, name: "weights" }), Uint8Array.of(0, 92, 255));
    await store.close();
    await dropSchema(url);
  });

  Deno.test(`${name} counts a row that is given twice at once by its effect`, () =>
    withStore(server, async (store) => {
      const row = event({ type: "click" });
      const events = [row, row, { ...row, type: "conversion" as const }];
      assert.deepEqual(await store.upsertEvents({ events }), { inserted: 1, changed: 1, same: 1 });
      const final = await store.finalEngagement({ user_id: row.user_id });
      assert.deepEqual(final.map(({ campaign_id }) => campaign_id), [row.campaign_id]);
    }));

  Deno.test(`${name} writes and deletes more than a batch`, () =>
    withStore(server, async (store) => {
      const rows = Array.from({ length: 12_000 }, () => event({ user_id: "a" }));
      assert.equal((await store.upsertEvents({ events: rows })).inserted, 12_000);
      assert.equal(await store.deleteUsers({ user_ids: ["a"] }), 12_000);
      assert.deepEqual(await store.counts(), { campaigns: 0, events: 0, users: 0 });
    }));

  Deno.test(`${name} scans no table for what a request or a write of some users asks`, async () => {
    const url = freshSchema(server);
    const scans = () => tableScans(url, ["campaigns", "epochs", "events", "stats"]);
    const filling = new PostgresAnalytics({ url });
    const campaigns = Array.from({ length: 4_000 }, (_, n) => campaign({ campaign_id: `k-${n}` }));
    await filling.upsertCampaigns({ campaigns });
    const events = Array.from(
      { length: 20_000 },
      (_, n) => event({ user_id: `u-${n % 4_000}`, campaign_id: `k-${n % 3_999}` }),
    );
    await filling.upsertEvents({ events });
    await filling.buildStats({ version: 1, half_life_days: 1, latest: LATEST });
    await ask(url, "ANALYZE");
    // A connection reports its scans at the latest when it ends.
    await filling.close();
    const before = await scans();
    const store = new PostgresAnalytics({ url });
    const [user_ids, campaign_ids, version] = [["u-1", "u-2"], ["k-1", "k-2"], 1];
    await store.upsertEvents({ events: [events[0]!, event({ user_id: "u-1" })] });
    (await store.epochs({ user_id: "u-1" })).user;
    assert.equal((await store.stats({ version, campaign_ids })).length, 2);
    assert.equal((await store.popular({ version, limit: 5 })).length, 5);
    assert.equal((await store.campaigns({ campaign_ids })).length, 2);
    assert.equal((await store.engagement({ user_ids })).length, 11);
    assert.equal((await store.eventsOf({ user_ids, limit: 5 })).length, 10);
    await store.finalEngagement({ user_id: "u-1" });
    await store.users({ after: null, limit: 5 });
    await store.clearDirty({ users: await store.listDirtyUsers({ after: null, limit: 5 }) });
    assert.equal(await store.deleteUsers({ user_ids }), 11);
    await store.close();
    assert.deepEqual(await scans(), before);
    await dropSchema(url);
  });

  Deno.test(`${name}: a bulk load that waits takes no connection of the store that serves`, async () => {
    const url = freshSchema(server);
    const [load, serving] = [new PostgresAnalytics({ url }), new PostgresAnalytics({ url })];
    const other = new Postgres({ url, store: "analytics", migrations: ANALYTICS_MIGRATIONS });
    await serving.upsertEvents({ events: [event({ user_id: "a" })] });
    const [locked, release] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const holding = other.write(async (session) => {
      await session.run("LOCK TABLE events IN EXCLUSIVE MODE");
      locked.resolve();
      await release.promise;
    });
    await locked.promise;
    const writes = Array.from({ length: 6 }, () => load.upsertEvents({ events: [event()] }));
    const waiting = `SELECT 1 FROM pg_locks WHERE NOT granted
      AND relation = '${url.searchParams.get("schema")}.events'::regclass`;
    await until(async () => (await ask(url, waiting)).length === 5);
    assert.ok((await serving.epochs({ user_id: "a" })).user > 0);
    assert.equal(await serving.published(), null);
    assert.equal((await ask(url, waiting)).length, 5, "the load has all of its connections in use");
    release.resolve();
    await holding;
    const written = await Promise.all(writes);
    assert.equal(written.reduce((sum, { inserted }) => sum + inserted, 0), 6);
    await other.close();
    for (const store of [load, serving]) await store.close();
    await dropSchema(url);
  });
}
