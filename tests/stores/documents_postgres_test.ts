import assert from "node:assert/strict";
import { compareText } from "../../lib/core/text.ts";
import { PostgresAnalytics } from "../../lib/stores/analytics/postgres/postgres_analytics.ts";
import { PostgresDocuments } from "../../lib/stores/documents/postgres/postgres_documents.ts";
import type { DocumentStore } from "../../lib/stores/documents/port.ts";
import { SqliteDocuments } from "../../lib/stores/documents/sqlite/sqlite_documents.ts";
import { clearServer } from "../../lib/stores/open.ts";
import { documentsContract } from "../contracts/documents.ts";
import { AWKWARD } from "../contracts/graph.ts";
import { handles } from "../fixtures/handles.ts";
import {
  ask,
  dropSchema,
  freshSchema,
  onEachPostgres,
  tableScans,
  twoHandles,
} from "../fixtures/postgres.ts";
import { event, message, minute } from "../fixtures/rows.ts";
import { proxied } from "../fixtures/tcp_proxy.ts";

onEachPostgres("PostgresDocuments", suite);

const withHandles = twoHandles<DocumentStore>((url) => new PostgresDocuments({ url }));

function suite(server: string, name: string): void {
  documentsContract(
    name,
    () => {
      const url = freshSchema(server);
      return handles(() => new PostgresDocuments({ url }), () => dropSchema(url));
    },
    () => {
      const direct = freshSchema(server);
      const { url, proxy } = proxied(direct, 5_432);
      const store = new PostgresDocuments({ url });
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

  Deno.test(`${name} and SqliteDocuments give the same answers and digest for the same rows`, () =>
    withHandles(server, async (one) => {
      const embedded = new SqliteDocuments({ path: ":memory:" });
      const messages = AWKWARD.flatMap((user_id, i) =>
        AWKWARD.map((id, j) =>
          message({
            message_id: `${id}/${user_id}`,
            user_id,
            message: `${id} \0 \ud800`,
            timestamp: minute(i * j % 50),
            intent: j % 3 === 0 ? id : null,
            metadata: { [id]: `${user_id}\0` },
          })
        )
      );
      const rows = messages.filter(({ intent }, i) => intent === null && i % 5 !== 0).map((
        { message_id },
        i,
      ) => ({ message_id, intent: i % 4 === 0 ? null : AWKWARD[i % 7]!, score: i / 7, classifier: "c" }));
      const answers = [];
      for (const store of [one, embedded]) {
        answers.push([
          await store.upsert({ messages }),
          await store.upsert({ messages: messages.toReversed() }),
          await store.classify({ rows }),
          await store.classify({ rows }),
          await store.page({ user_ids: AWKWARD.slice(0, 5), after: "B", limit: 40 }),
          await store.page({ after: "a", limit: 40 }),
          await store.intentCounts({ user_ids: AWKWARD }),
          await store.unclassified({ classifier: "c", after: null, limit: 30 }),
          await store.unlabelled({ after: null, limit: 30 }),
          await store.classifications({ message_ids: rows.map(({ message_id }) => message_id) }),
          await store.classifierCounts(),
          await store.labelled({ intent: "a", limit: 9 }),
          (await store.listDirtyUsers({ after: null, limit: 99 })).map(({ user_id }) => user_id),
          await store.counts(),
          await store.digest(),
        ]);
      }
      await embedded.close();
      assert.deepEqual(answers[0], answers[1]);
      const page = await one.page({ after: null, limit: 9_999 });
      const ids = page.map(({ message_id }) => message_id);
      assert.deepEqual(ids, messages.map(({ message_id }) => message_id).toSorted(compareText));
    }));

  Deno.test(`${name} writes a text that no engine keeps with U+FFFD, and for the same again`, () =>
    withHandles(server, async (store) => {
      const row = message({ message: "before\0after \ud800", metadata: { text: "a\0b" } });
      await store.upsert({ messages: [row] });
      const [stored] = await store.page({ after: null, limit: 1 });
      assert.deepEqual(stored, { ...row, message: "before\ufffdafter \ufffd" });
      assert.equal((await store.upsert({ messages: [row] })).same, 1);
    }));

  Deno.test(`${name} quarantines rows whose source is longer than an index entry, each once`, () =>
    withHandles(server, async (store) => {
      // Random, since the server compresses what repeats.
      const source = crypto.getRandomValues(new Uint8Array(6_000)).toHex();
      const row = {
        run_id: "r",
        kind: "messages" as const,
        position: 1,
        reason: "x",
        raw: "\0{",
        at: minute(1),
      };
      const rows = [source, `${source}2`].map((source) => ({ ...row, source }));
      for (const _ of [1, 2]) await store.quarantine({ rows });
      const found = await store.quarantined({ limit: 9, offset: 0 });
      assert.deepEqual(found, rows.map((each) => ({ ...each, raw: "\ufffd{" })));
      assert.equal((await store.quarantined({ source, limit: 9, offset: 0 })).length, 1);
      assert.equal(await store.pruneQuarantine({ before: minute(2) }), 2);
    }));

  Deno.test(`${name}: a run that derives while others write misses no row of a cleared user`, () =>
    withHandles(server, async (writer, deriver) => {
      const derived = new Map<string, number>();
      let writing = true;
      const derive = async () => {
        const users = await deriver.listDirtyUsers({ after: null, limit: 1_000 });
        for (const { user_id } of users) {
          derived.set(
            user_id,
            (await deriver.page({ user_ids: [user_id], after: null, limit: 1_000 })).length,
          );
        }
        await deriver.clearDirty({ users });
      };
      const deriving = (async () => {
        while (writing) await derive();
      })();
      const users = Array.from({ length: 8 }, (_, i) => `u${i}`);
      const write = async () => {
        for (let round = 0; round < 25; round++) {
          await writer.upsert({ messages: users.map((user_id) => message({ user_id })) });
        }
      };
      await Promise.all([write(), write(), write()]).finally(() => writing = false);
      await deriving;
      await derive();
      assert.deepEqual(await deriver.listDirtyUsers({ after: null, limit: 9 }), []);
      assert.deepEqual([...derived].sort(), users.map((user) => [user, 75]));
    }));

  Deno.test(`${name} classifies the same messages at once from two processes`, () =>
    withHandles(server, async (one, two) => {
      const messages = Array.from({ length: 600 }, () => message());
      await one.upsert({ messages });
      const rows = (classifier: string) =>
        messages.map(({ message_id }) => ({ message_id, intent: classifier, score: 0.5, classifier }));
      await Promise.all([one.classify({ rows: rows("a") }), two.classify({ rows: rows("b").toReversed() })]);
      const [last, ...others] = await one.classifierCounts();
      assert.deepEqual([last?.messages, others], [600, []]);
    }));

  Deno.test(`${name} deletes more messages than one transaction`, () =>
    withHandles(server, async (store) => {
      const messages = Array.from({ length: 10_100 }, () => message({ user_id: "a" }));
      assert.equal((await store.upsert({ messages })).inserted, 10_100);
      assert.equal(await store.deleteUsers({ user_ids: ["a"] }), 10_100);
      assert.deepEqual(await store.counts(), { messages: 0, users: 0, quarantined: 0 });
    }));

  Deno.test(`${name} shares a schema with analytics: marks of users are each store's own, and so is clearing`, () =>
    withHandles(server, async (documents, _two, url) => {
      const analytics = new PostgresAnalytics({ url });
      try {
        await analytics.upsertEvents({ events: [event({ user_id: "a" })] });
        await documents.upsert({ messages: [message({ user_id: "b" })] });
        const users = async (store: DocumentStore | PostgresAnalytics) =>
          (await store.listDirtyUsers({ after: null, limit: 9 })).map(({ user_id }) => user_id);
        assert.deepEqual([await users(documents), await users(analytics)], [["b"], ["a"]]);
        await clearServer.documents(url);
        assert.deepEqual([await users(documents), await users(analytics)], [[], ["a"]]);
        assert.equal((await documents.counts()).messages, 0);
      } finally {
        await analytics.close();
      }
    }));

  Deno.test(`${name} scans no table for what a request or a write of some users asks`, async () => {
    const url = freshSchema(server);
    const scans = () => tableScans(url, ["document_dirty_users", "messages"]);
    const filling = new PostgresDocuments({ url });
    const messages = Array.from(
      { length: 20_000 },
      (_, n) => message({ user_id: `u-${n % 4_000}`, intent: null }),
    );
    await filling.upsert({ messages });
    const result = { intent: "x", score: 1, classifier: "c" };
    await filling.classify({ rows: messages.map(({ message_id }) => ({ message_id, ...result })) });
    await ask(url, "ANALYZE");
    await filling.close();
    const before = await scans();
    const store = new PostgresDocuments({ url });
    const user_ids = ["u-1", "u-2"];
    const message_ids = messages.slice(0, 2).map(({ message_id }) => message_id);
    await store.upsert({
      messages: [message({ user_id: "u-1" }), { ...messages[1]!, message: "otherwise" }],
    });
    assert.equal((await store.page({ user_ids, after: null, limit: 99 })).length, 11);
    assert.equal((await store.page({ after: null, limit: 99 })).length, 99);
    assert.equal((await store.intentCounts({ user_ids })).length, 2);
    assert.equal((await store.classifications({ message_ids })).length, 1);
    await store.classify({ rows: message_ids.map((message_id) => ({ message_id, ...result, intent: "y" })) });
    await store.saveClassifier({ classifier: { key: "c", body: "{}" }, examples: message_ids });
    await store.labelled({ intent: "buy", limit: 9 });
    assert.equal((await store.examples({ classifier: "c" })).length, 0);
    await store.clearDirty({ users: await store.listDirtyUsers({ after: null, limit: 5 }) });
    assert.equal(await store.deleteUsers({ user_ids }), 11);
    await store.close();
    assert.deepEqual(await scans(), before);
    await dropSchema(url);
  });
}
