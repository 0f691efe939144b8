/** What holds of several handles on the rows of one store: of processes that come after each other, or run at once. */
import assert from "node:assert/strict";
import type { WriteCounts } from "../../lib/core/types.ts";
import type { AnalyticsStore, Engagement } from "../../lib/stores/analytics/port.ts";
import type { DocumentStore } from "../../lib/stores/documents/port.ts";
import type { GraphStore } from "../../lib/stores/graph/port.ts";
import type { VectorStores } from "../../lib/stores/vectors/port.ts";
import type { Handles } from "../fixtures/handles.ts";
import { campaign, event, message, minute } from "../fixtures/rows.ts";
import { MODEL, near, randomRows } from "../fixtures/vector_stores.ts";

export interface Shared<Store> {
  /** Writes as one of {@link WRITERS}: rows of its own, which it then changes, and some that all write alike; returns how many it wrote. */
  write(store: Store, writer: number): Promise<number>;
  /** What is then there, whichever writer came first. */
  look(store: Store): Promise<unknown>;
}

const WRITERS = 3;

export function handlesContract<Store extends { close(): Promise<void> }>(
  name: string,
  open: () => Promise<Handles<Store>>,
  { write, look }: Shared<Store>,
): void {
  Deno.test(`${name}: written rows are there when the store is opened again`, async () => {
    const { store, openAnother, close } = await open();
    try {
      const empty = await look(store);
      await write(store, 0);
      const written = await look(store);
      assert.notDeepEqual(written, empty);
      await store.close();
      assert.deepEqual(await look(await openAnother()), written);
    } finally {
      await close();
    }
  });

  Deno.test(`${name}: concurrent writers lose no rows`, async () => {
    const [together, alone] = [await open(), await open()];
    try {
      const stores = [together.store];
      while (stores.length < WRITERS) stores.push(await together.openAnother());
      const counts = await Promise.all(stores.map(write));
      let expected = 0;
      for (const writer of stores.keys()) expected += await write(alone.store, writer);
      assert.equal(sum(counts), expected);
      const afterEachOther = await look(alone.store);
      for (const store of stores) assert.deepEqual(await look(store), afterEachOther);
    } finally {
      await together.close();
      await alone.close();
    }
  });
}

const sum = (counts: readonly number[]) => counts.reduce((total, count) => total + count, 0);
const written = ({ inserted, changed }: WriteCounts) => inserted + changed;

/** Of every four rows, each writer's own and one of all; writers come to them from either end. */
function rowsOf<Row>(rows: readonly Row[], writer: number): { own: Row[]; all: Row[] } {
  const own = rows.filter((_, n) => n % (WRITERS + 1) === writer);
  const shared = rows.filter((_, n) => n % (WRITERS + 1) === WRITERS);
  const all = [...own, ...shared];
  return { own, all: writer % 2 === 0 ? all : all.toReversed() };
}

const numbered = <Row>(count: number, row: (n: number) => Row) =>
  Array.from({ length: count }, (_, n) => row(n));
const moved = <Row extends { user_id: string }>(row: Row): Row => ({ ...row, user_id: `new-${row.user_id}` });
const touchedBy = async (store: DocumentStore | AnalyticsStore) =>
  (await store.listDirtyUsers({ after: null, limit: 1_000 })).map(({ user_id }) => user_id);

const MESSAGES = numbered(1_200, (n) => message({ user_id: `u${n % 70}`, intent: "buy" }));

export const DOCUMENTS: Shared<DocumentStore> = {
  write: async (store, writer) => {
    const { own, all } = rowsOf(MESSAGES, writer);
    const first = await store.upsert({ messages: all });
    return written(first) + written(await store.upsert({ messages: own.map(moved) }));
  },
  look: async (store) => ({
    digest: await store.digest(),
    counts: await store.counts(),
    touched: await touchedBy(store),
  }),
};

const CAMPAIGNS = numbered(
  40,
  (n) => campaign({ campaign_id: `k${n}`, intents: [`i${n % 7}`, `j${n % 5}`] }),
);
const EVENTS = numbered(1_200, (n) => event({ user_id: `u${n % 70}`, campaign_id: `k${n % 40}` }));
const PUBLISHED = { version: 1, run_id: "r", model: "m", at: minute(1) };
const SOURCE = {
  kind: "events",
  uri: "x",
  sha256: "0".repeat(64),
  rows: 3,
  run_id: "r",
  at: minute(1),
} as const;

export const ANALYTICS: Shared<AnalyticsStore> = {
  write: async (store, writer) => {
    const { own, all } = rowsOf(EVENTS, writer);
    const campaigns = rowsOf(CAMPAIGNS, writer).all;
    if (writer === 0) await store.publish({ published: PUBLISHED, sources: [SOURCE] });
    return written(await store.upsertCampaigns({ campaigns })) +
      written(await store.upsertEvents({ events: all })) +
      written(await store.upsertEvents({ events: own.map(moved) }));
  },
  look: async (store) => ({
    digest: await store.digest(),
    counts: await store.counts(),
    touched: await touchedBy(store),
    published: await store.published(),
    sources: await store.sources(),
  }),
};

const VECTORS = randomRows(400, 11);

export const VECTOR_STORES: Shared<VectorStores> = {
  write: async (stores, writer) => {
    const store = await stores.forModel({ model: MODEL });
    const { own, all } = rowsOf(VECTORS, writer);
    const changed = own.map((row) => ({ ...row, content_hash: "changed" }));
    // Not counted: Milvus cannot look and write in one step, so of two who insert a row at one time both may say so.
    await store.upsert({ collection: "messages", rows: all });
    const first = await store.upsert({ collection: "profiles", rows: own });
    const second = await store.upsert({ collection: "profiles", rows: changed });
    if (writer === 0) await store.build({ version: 1 });
    return written(first) + written(second);
  },
  look: async (stores) => {
    const store = await stores.forModel({ model: MODEL });
    const models = await stores.models();
    const [row] = VECTORS;
    return {
      models,
      digest: await store.digest(),
      counts: await store.counts(),
      nearest: models.length === 0 ? null : (await near(store, 1, row!.vector, 1))[0]!.id,
    };
  },
};

const USERS = numbered(80, (n) => `u${n}`);
const engages = (user_id: string, n: number, clicks: number): Engagement => ({
  user_id,
  campaign_id: `k${n % 40}`,
  impressions: 2,
  clicks,
  conversions: 1,
  dismissals: 0,
  last: minute(n),
});

export const GRAPH: Shared<GraphStore> = {
  write: async (store, writer) => {
    const { own, all } = rowsOf(USERS, writer);
    const engage = (user_ids: string[], clicks: number) => {
      const edges = user_ids.flatMap((user_id) => numbered(20, (n) => engages(user_id, n, clicks)));
      return store.setEngaged({ user_ids, edges });
    };
    const expressed = all.flatMap((user_id) =>
      numbered(5, (n) => ({ user_id, intent: `i${n}`, count: n + 1, last: minute(n) }))
    );
    const had = (user_ids: string[], clicks: number) => {
      const conversations = user_ids.map((user_id) => ({
        conversation_id: `of ${user_id}`,
        user_id,
        engagement: numbered(5, (n) => engages(user_id, 3 * n, clicks)).map(
          ({ user_id: _, last: __, ...counts }) => counts,
        ),
      }));
      return store.setConversations({ user_ids, conversations });
    };
    return await engage(all, 1) + await engage(own, 2) + await had(all, 1) + await had(own, 2) +
      await store.setExpressed({ user_ids: all, edges: expressed }) +
      await store.setTargets({ campaigns: rowsOf(CAMPAIGNS, writer).all });
  },
  look: async (store) => ({ digest: await store.digest(), counts: await store.counts() }),
};
