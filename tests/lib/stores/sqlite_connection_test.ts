import assert from "node:assert/strict";
import { Sqlite } from "../../../lib/stores/engines/sqlite/sqlite.ts";
import { overwrite } from "../../fixtures/damage.ts";
import { until } from "../../fixtures/until.ts";

const V1 = "CREATE TABLE things (name TEXT) STRICT; INSERT INTO things VALUES ('first')";
const REFILL = "do this";

/** Runs `body` with the path of a database that is open, and another's with the row `second`. */
function openTest(
  title: string,
  body: (options: { sql: Sqlite; path: string; other: string }) => Promise<void>,
) {
  Deno.test(title, async () => {
    const dir = await Deno.makeTempDir();
    const other = new Sqlite({ path: `${dir}/other.db`, migrations: [V1] });
    other.run("UPDATE things SET name = 'second'");
    other.close();
    const path = `${dir}/test.db`;
    const sql = new Sqlite({ path, migrations: [V1], refill: REFILL });
    try {
      await body({ sql, path, other: `${dir}/other.db` });
    } finally {
      sql.close();
      await Deno.remove(dir, { recursive: true });
    }
  });
}

const nameIn = (sql: Sqlite) => sql.get<{ name: string }>("SELECT name FROM things")?.name;

/** What a call throws, once it does. */
async function failureOf(sql: Sqlite): Promise<unknown> {
  let failure: unknown = null;
  await until(() => {
    try {
      nameIn(sql);
    } catch (error) {
      failure = error;
    }
    return Promise.resolve(failure !== null);
  });
  return failure;
}

openTest(
  "SqliteConnection notices within seconds that its file is gone, and makes no new one",
  async ({ sql, path }) => {
    assert.equal(nameIn(sql), "first");
    Deno.removeSync(path);
    const began = performance.now();
    const { code, message } = await failureOf(sql) as { code: string; message: string };
    assert.ok(performance.now() - began < 3_000);
    assert.deepEqual([code, message], ["unavailable", `${path} is gone: ${REFILL}`]);
    await assert.rejects(sql.write(() => sql.run("DELETE FROM things")), { code: "unavailable" });
    assert.throws(() => sql.health(), { code: "unavailable" });
    assert.throws(() => Deno.statSync(path), Deno.errors.NotFound);
  },
);

openTest(
  "SqliteConnection reads the file that has taken the place of its own",
  async ({ sql, path, other }) => {
    assert.equal(nameIn(sql), "first");
    Deno.renameSync(other, path);
    await until(() => Promise.resolve(nameIn(sql) === "second"));
  },
);

openTest("SqliteConnection ends a transaction on the file that it began on", async ({ sql, path, other }) => {
  sql.db.exec("BEGIN");
  Deno.renameSync(other, path);
  await new Promise((resume) => setTimeout(resume, 1_100));
  assert.equal(nameIn(sql), "first");
  sql.db.exec("COMMIT");
  await until(() => Promise.resolve(nameIn(sql) === "second"));
});

openTest(
  "SqliteConnection.explain() lets health() fail until the file changes",
  async ({ sql, path, other }) => {
    sql.run("INSERT INTO things SELECT hex(randomblob(500)) FROM json_each('[1, 2, 3, 4, 5, 6, 7, 8, 9]')");
    sql.get("PRAGMA wal_checkpoint(TRUNCATE)");
    sql.health();
    overwrite(path, 4_096, Deno.statSync(path).size - 4_096);
    // Its own pages are in memory: only another connection meets the damage.
    const fresh = new Sqlite({ path, migrations: [V1], refill: REFILL });
    fresh.health();
    const damaged = {
      code: "unavailable",
      message: `${path} is damaged (database disk image is malformed): move test.db away and ${REFILL}`,
    };
    assert.throws(() => nameIn(fresh), damaged);
    assert.throws(() => fresh.health(), damaged);
    assert.throws(() => sql.get("SELECT * FROM json_each('no JSON')"), { message: "malformed JSON" });
    sql.health();
    Deno.renameSync(other, path);
    await until(() => Promise.resolve(isWell(fresh)));
    assert.equal(nameIn(fresh), "second");
    fresh.close();
  },
);

function isWell(sql: Sqlite): boolean {
  try {
    sql.health();
    return true;
  } catch {
    return false;
  }
}
