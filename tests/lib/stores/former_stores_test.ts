import assert from "node:assert/strict";
import { DatabaseSync } from "../../../deps.ts";
import { openAnalytics, openDocuments, openGraph, openRuns } from "../../../lib/stores/open.ts";
import {
  assertFormerAnalytics,
  assertFormerDocuments,
  assertFormerGraph,
  assertFormerRuns,
  formerStore,
} from "../../fixtures/former_stores.ts";

/** Gives the file of a store as an earlier Parley left it, with a connection behind the back of the store. */
async function withFile(store: string, body: (url: URL, db: DatabaseSync) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  const db = new DatabaseSync(`${dir}/${store}.db`);
  try {
    db.exec(formerStore(store, "sqlite"));
    await body(new URL(`sqlite:${dir}/${store}.db`), db);
  } finally {
    db.close();
    await Deno.remove(dir, { recursive: true });
  }
}

const CASES = [
  ["analytics", async (url: URL) => {
    const store = await openAnalytics(url);
    return { store, assertKept: () => assertFormerAnalytics(store) };
  }],
  ["documents", async (url: URL) => {
    const store = await openDocuments(url);
    return { store, assertKept: () => assertFormerDocuments(store) };
  }],
  ["graph", async (url: URL) => {
    const store = await openGraph(url);
    return { store, assertKept: () => assertFormerGraph(store) };
  }],
  ["runs", async (url: URL) => {
    const store = await openRuns(url);
    return { store, assertKept: () => assertFormerRuns(store) };
  }],
] as const;

for (const [name, open] of CASES) {
  Deno.test(`${name} in a file of an earlier Parley are read as they were, and written further`, () =>
    withFile(name, async (url) => {
      const { store, assertKept } = await open(url);
      await assertKept();
      await store.close();
    }));

  Deno.test(`${name} in a file of a newer Parley are refused in one sentence, and left as they are`, () =>
    withFile(name, async (url, db) => {
      const { store } = await open(url);
      await store.close();
      const { user_version: known } = db.prepare("PRAGMA user_version").get() as { user_version: number };
      db.exec(`PRAGMA user_version = ${known + 1}`);
      const opened = await open(url);
      await assert.rejects(opened.store.health(), {
        code: "mismatch",
        message: `${url.pathname} has schema version ${known + 1}, and this Parley knows ${known}: ` +
          "use the newer Parley that wrote it",
      });
      await opened.store.close();
      assert.deepEqual({ ...db.prepare("PRAGMA user_version").get() }, { user_version: known + 1 });
    }));
}
