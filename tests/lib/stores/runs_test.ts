import assert from "node:assert/strict";
import { DatabaseSync } from "../../../deps.ts";
import { newTask } from "../../../lib/dag/state.ts";
import { migrationSql } from "../../../lib/stores/engines/migration.ts";
import { SQLITE_SCHEMA } from "../../../lib/stores/engines/sqlite/file.ts";
import { SqliteDatabase } from "../../../lib/stores/engines/sqlite/sqlite_database.ts";
import type { Steps } from "../../../lib/stores/engines/sql.ts";
import { RUN_MIGRATIONS } from "../../../lib/stores/runs/schema.ts";
import { SqlRuns } from "../../../lib/stores/runs/sql_runs.ts";
import { SqliteRuns } from "../../../lib/stores/runs/sqlite/sqlite_runs.ts";
import { runsContract } from "../../contracts/runs.ts";
import { runOf, T0 } from "../../fixtures/runs.ts";

runsContract("SqliteRuns", async () => {
  const dir = await Deno.makeTempDir();
  const path = `${dir}/runs.db`;
  const store = new SqliteRuns({ path });
  return {
    store,
    openAnother: () => Promise.resolve(new SqliteRuns({ path })),
    close: async () => {
      await store.close();
      await Deno.remove(dir, { recursive: true });
    },
  };
});

/** Rolls back the first run of each transaction, as PostgreSQL does when it gives another one precedence. */
class RetryingDatabase extends SqliteDatabase {
  override async write<T>(steps: () => Steps<T>): Promise<T> {
    const rollback = new Error("another transaction has precedence");
    try {
      await super.write(function* () {
        yield* steps();
        throw rollback;
      });
    } catch (error) {
      if (error !== rollback) throw error;
    }
    return await super.write(steps);
  }
}

class RetryingRuns extends SqlRuns {
  constructor(path: string) {
    super(new RetryingDatabase({ path, migrations: RUN_MIGRATIONS, refill: "" }), function* () {});
  }
}

runsContract("SqlRuns whose transactions run twice", async () => {
  const dir = await Deno.makeTempDir();
  const path = `${dir}/runs.db`;
  const store = new RetryingRuns(path);
  return {
    store,
    openAnother: () => Promise.resolve(new RetryingRuns(path)),
    close: async () => {
      await store.close();
      await Deno.remove(dir, { recursive: true });
    },
  };
});

Deno.test("SqliteRuns waits for a locked file without stopping the timers of its process", async () => {
  const dir = await Deno.makeTempDir();
  const path = `${dir}/runs.db`;
  const runs = new SqliteRuns({ path });
  const other = new DatabaseSync(path);
  try {
    other.exec("BEGIN EXCLUSIVE");
    let ticks = 0;
    const ticking = setInterval(() => ticks++, 10);
    setTimeout(() => other.exec("COMMIT"), 500);
    assert.equal(await runs.create({ run: runOf("r"), tasks: [newTask("a")] }), true);
    clearInterval(ticking);
    assert.ok(ticks > 10, `the timers had ${ticks} turns in half a second`);
  } finally {
    other.close();
    await runs.close();
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("SqliteRuns takes a file of the first schema further, with its runs", async () => {
  const dir = await Deno.makeTempDir();
  const path = `${dir}/runs.db`;
  const old = new DatabaseSync(path);
  old.exec(migrationSql(RUN_MIGRATIONS[0]!, SQLITE_SCHEMA));
  old.exec("PRAGMA user_version = 1");
  old.exec(
    `INSERT INTO pipeline_runs VALUES ('r','d','v','queued','manual',NULL,'x','x','x','{}','x',NULL,NULL,NULL,
    0,NULL,0); INSERT INTO pipeline_tasks VALUES ('r','a','waiting',0,0,0,0,NULL,'null',NULL,NULL);
    INSERT INTO pipeline_attempts VALUES ('r','a',1,'success','p','default',1,'x','x',NULL,0,0,0,0,NULL,'{}')`,
  );
  old.close();
  const runs = new SqliteRuns({ path });
  try {
    const claimed = await runs.claim({ owner: "p", now: T0, ttl_ms: 1, max_active: { d: 1 } });
    assert.deepEqual(claimed?.tasks, [newTask("a")]);
    assert.equal(await runs.unsent(), 1);
  } finally {
    await runs.close();
    await Deno.remove(dir, { recursive: true });
  }
});
