import assert from "node:assert/strict";
import { openAnalytics, openDocuments, openGraph, openRuns } from "../../lib/stores/open.ts";
import { assertFormerAnalytics, assertFormerRuns, formerStore } from "../fixtures/former_stores.ts";
import { ask, dropSchema, freshSchema, onEachPostgres } from "../fixtures/postgres.ts";

onEachPostgres("stores in PostgreSQL", suite);

/** Runs statements in the schema of a URL, which is created. */
async function askIn(url: URL, sql: string): Promise<void> {
  const schema = url.searchParams.get("schema");
  await ask(url, `CREATE SCHEMA IF NOT EXISTS ${schema}; SET search_path = ${schema}; ${sql}`);
}

/** The version of a store's tables. */
async function versionOf(url: URL, store: string): Promise<number> {
  const schema = url.searchParams.get("schema");
  const sql = `SELECT version FROM ${schema}.parley_migrations WHERE store = '${store}'`;
  return (await ask<{ version: number }>(url, sql))[0]!.version;
}

function suite(server: string, name: string): void {
  const withSchema = async (body: (url: URL) => Promise<void>) => {
    const url = freshSchema(server);
    try {
      await body(url);
    } finally {
      await dropSchema(url);
    }
  };

  Deno.test(`${name}: analytics of an earlier Parley are read as they were, and written further`, () =>
    withSchema(async (url) => {
      await askIn(url, formerStore("analytics", "postgres"));
      const store = await openAnalytics(url);
      await assertFormerAnalytics(store);
      await store.close();
    }));

  Deno.test(`${name}: runs of an earlier Parley are read as they were, and written further`, () =>
    withSchema(async (url) => {
      await askIn(url, formerStore("runs", "postgres"));
      const store = await openRuns(url);
      await assertFormerRuns(store);
      await store.close();
    }));

  const openers = { analytics: openAnalytics, documents: openDocuments, graph: openGraph, runs: openRuns };
  for (const [role, open] of Object.entries(openers)) {
    Deno.test(`${name}: ${role} of a newer Parley are refused in one sentence, and left as they are`, () =>
      withSchema(async (url) => {
        const store = await open(url);
        await store.health();
        await store.close();
        const known = await versionOf(url, role);
        await askIn(url, `UPDATE parley_migrations SET version = ${known + 1} WHERE store = '${role}'`);
        const opened = await open(url);
        await assert.rejects(opened.health(), {
          code: "mismatch",
          message: `the ${role} in schema ${url.searchParams.get("schema")} have version ${known + 1}, ` +
            `and this Parley knows ${known}: use the newer Parley that wrote them`,
        });
        await opened.close();
        assert.equal(await versionOf(url, role), known + 1);
      }));
  }
}
