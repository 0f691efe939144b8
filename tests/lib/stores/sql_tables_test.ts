import assert from "node:assert/strict";
import { DatabaseSync } from "../../../deps.ts";
import { RUN_TABLES } from "../../../lib/stores/runs/schema.ts";
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

Deno.test("the tables of runs are all those of its schema but the scheduler's", () =>
  withFolder(async (folder) => {
    const path = `${folder}/runs.db`;
    const runs = new SqliteRuns({ path });
    await runs.paused();
    await runs.close();
    using db = new DatabaseSync(path);
    const sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
    const names = db.prepare(sql).all().map(({ name }) => name);
    assert.deepEqual(names.sort(), [...Object.keys(RUN_TABLES), "scheduler"].sort());
  }));

Deno.test("a copy of all rows of runs is equal, and continues where the other ended", () =>
  withFolder(async (folder) => {
    const [from, to] = ["a", "b"].map((name) => new SqliteRuns({ path: `${folder}/${name}.db` }));
    await fillRuns(from!);
    await copyRuns(from!, to!);
    await assertCopied(from!, to!);
    await from!.close();
    await to!.close();
  }));
