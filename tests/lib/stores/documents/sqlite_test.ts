import assert from "node:assert/strict";
import { DOCUMENT_MIGRATIONS } from "../../../../lib/stores/documents/schema.ts";
import { SqliteDocuments } from "../../../../lib/stores/documents/sqlite/sqlite_documents.ts";
import { Sqlite } from "../../../../lib/stores/engines/sqlite/sqlite.ts";
import { documentsContract } from "../../../contracts/documents.ts";
import { inFiles } from "../../../fixtures/files.ts";
import { handlesIn } from "../../../fixtures/handles.ts";
import { message } from "../../../fixtures/rows.ts";

documentsContract(
  "SqliteDocuments",
  () => handlesIn((dir) => new SqliteDocuments({ path: `${dir}/documents.db` })),
);

Deno.test("two SqliteDocuments of one file see each other's writes and never share a token", async () => {
  const dir = await Deno.makeTempDir();
  const stores = [1, 2].map(() => new SqliteDocuments({ path: `${dir}/documents.db`, busy_ms: 20 }));
  const rows = Array.from({ length: 2_000 }, () => message());
  await Promise.all(
    stores.map((store, n) => store.upsert({ messages: rows.slice(n * 1_000, n * 1_000 + 1_000) })),
  );
  for (const store of stores) assert.equal((await store.counts()).messages, 2_000);
  const [one, two] = stores as [SqliteDocuments, SqliteDocuments];
  await one.upsert({ messages: [message({ user_id: "!" })] });
  const stale = await one.listDirtyUsers({ after: null, limit: 1 });
  await two.upsert({ messages: [message({ user_id: "!" })] });
  await one.clearDirty({ users: stale });
  assert.equal((await two.listDirtyUsers({ after: null, limit: 1 }))[0]?.user_id, "!");
  for (const store of stores) await store.close();
  await Deno.remove(dir, { recursive: true });
});

Deno.test("SqliteDocuments.deleteUsers() leaves no byte of their messages", async () => {
  const dir = await Deno.makeTempDir();
  const store = new SqliteDocuments({ path: `${dir}/documents.db` });
  const secret = "a-phrase-that-nobody-else-says";
  const said = (user_id: string) => message({ user_id, message: `${secret} `.repeat(400), intent: secret });
  await store.upsert({ messages: Array.from({ length: 300 }, () => message()) });
  await store.upsert({ messages: Array.from({ length: 50 }, () => said("erased-user")) });
  await store.upsert({ messages: [{ ...said("erased-user"), message_id: "moved" }] });
  await store.upsert({ messages: [{ ...message(), message_id: "moved" }] });
  assert.ok(await inFiles(dir, secret) && await inFiles(dir, "erased-user"));
  await store.deleteUsers({ user_ids: ["erased-user"] });
  assert.equal(await inFiles(dir, secret), false, "while open");
  assert.equal(await inFiles(dir, "erased-user"), false, "while open");
  await store.close();
  assert.equal(await inFiles(dir, secret), false, "after close");
  await Deno.remove(dir, { recursive: true });
});

Deno.test("SqliteDocuments in memory works, and puts U+FFFD in place of text that the engine cannot read", async () => {
  const store = new SqliteDocuments({ path: ":memory:" });
  const row = message({ message: "before\0after \ud800", metadata: { text: "a\0b" } });
  await store.upsert({ messages: [row] });
  const [kept] = await store.page({ after: null, limit: 1 });
  assert.deepEqual(kept, { ...row, message: "before\ufffdafter \ufffd" });
  assert.equal((await store.upsert({ messages: [row] })).same, 1);
  assert.equal((await store.health()).adapter, "sqlite");
  await store.close();
});

Deno.test("SqliteDocuments keeps the marks and the counter of a file whose tables had other names", async () => {
  const dir = await Deno.makeTempDir();
  const path = `${dir}/documents.db`;
  const former = new Sqlite({ path, migrations: DOCUMENT_MIGRATIONS.slice(0, 2) });
  former.run("INSERT INTO touched VALUES ('a', 7)");
  former.run("UPDATE writes SET last = 7");
  former.close();
  const store = new SqliteDocuments({ path });
  await store.upsert({ messages: [message({ user_id: "b" })] });
  const users = await store.listDirtyUsers({ after: null, limit: 9 });
  assert.deepEqual(users, [{ user_id: "a", token: "7" }, { user_id: "b", token: "8" }]);
  await store.close();
  await Deno.remove(dir, { recursive: true });
});
