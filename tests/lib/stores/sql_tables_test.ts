import assert from "node:assert/strict";
import { DatabaseSync } from "../../../deps.ts";
import { ANALYTICS_MIGRATIONS, ANALYTICS_TABLES } from "../../../lib/stores/analytics/schema.ts";
import { migrationSql } from "../../../lib/stores/engines/migration.ts";
import { SQLITE_SCHEMA } from "../../../lib/stores/engines/sqlite/file.ts";
import { RUN_MIGRATIONS, RUN_TABLES } from "../../../lib/stores/runs/schema.ts";
import { SqliteRuns } from "../../../lib/stores/runs/sqlite/sqlite_runs.ts";
import { assertCopied, copyRuns, fillRuns } from "../../fixtures/copied_runs.ts";

async function withFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const STORES = [
  ["runs", RUN_MIGRATIONS, RUN_TABLES, ["scheduler"]],
  ["analytics", ANALYTICS_MIGRATIONS, ANALYTICS_TABLES, ["writes"]],
] as const;

for (const [name, migrations, tables, others] of STORES) {
  Deno.test(`the tables of ${name} are all those of its schema but ${others}`, () => {
    using db = new DatabaseSync(":memory:");
    for (const migration of migrations) db.exec(migrationSql(migration, SQLITE_SCHEMA));
    const sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
    const names = db.prepare(sql).all().map(({ name }) => name);
    assert.deepEqual(names.sort(), [...Object.keys(tables), ...others].sort());
  });
}

Deno.test("a copy of all rows of runs is equal, and continues where the other ended", () =>
  withFolder(async (folder) => {
    const [from, to] = ["a", "b"].map((name) => new SqliteRuns({ path: `${folder}/${name}.db` }));
    await fillRuns(from!);
    await copyRuns(from!, to!);
    await assertCopied(from!, to!);
    await from!.close();
    await to!.close();
  }));
