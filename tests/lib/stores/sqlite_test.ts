import assert from "node:assert/strict";
import { backup, DatabaseSync } from "../../../deps.ts";
import { yieldToEventLoop } from "../../../lib/core/abort.ts";
import { seededRandom } from "../../../lib/core/random.ts";
import { inFiles } from "../../fixtures/files.ts";
import { Sqlite } from "../../../lib/stores/engines/sqlite/sqlite.ts";
import { openSqlite, RESTORE, transaction } from "../../../lib/stores/engines/sqlite/file.ts";

const V1 = "CREATE TABLE things (name TEXT) STRICT; INSERT INTO things VALUES ('first')";
const V2 = "ALTER TABLE things ADD COLUMN size INTEGER NOT NULL DEFAULT 7";

/** Runs `body` with a path in a folder of its own. */
function inFolder(title: string, body: (path: string, dir: string) => Promise<void> | void): void {
  Deno.test(title, async () => {
    const dir = await Deno.makeTempDir();
    await body(`${dir}/test.db`, dir);
    await Deno.remove(dir, { recursive: true });
  });
}

function pragma(db: DatabaseSync, name: string): unknown {
  return Object.values(db.prepare(`PRAGMA ${name}`).get() ?? {})[0];
}

inFolder("openSqlite() sets WAL, bounded waiting, overwriting and durability", (path) => {
  const db = openSqlite({ path, migrations: [V1], busy_ms: 20, synchronous: "FULL" });
  const set = ["journal_mode", "busy_timeout", "secure_delete", "foreign_keys", "synchronous"];
  assert.deepEqual(set.map((name) => pragma(db, name)), ["wal", 20, 1, 1, 2]);
  db.close();
});

inFolder("openSqlite() migrates forward without losing rows", (path) => {
  openSqlite({ path, migrations: [V1] }).close();
  const db = openSqlite({ path, migrations: [V1, V2] });
  assert.deepEqual({ ...db.prepare("SELECT * FROM things").get() }, { name: "first", size: 7 });
  assert.equal(pragma(db, "user_version"), 2);
  db.close();
  openSqlite({ path, migrations: [V1, V2] }).close();
});

inFolder("openSqlite() refuses a newer file in one sentence and leaves it", (path) => {
  openSqlite({ path, migrations: [V1, V2] }).close();
  assert.throws(() => openSqlite({ path, migrations: [V1] }), {
    name: "ParleyError",
    code: "mismatch",
    message: `${path} has schema version 2, and this Parley knows 1: use the newer Parley that wrote it`,
  });
  const db = new DatabaseSync(path);
  assert.equal(pragma(db, "user_version"), 2);
  db.close();
});

inFolder("openSqlite() leaves the old version whole when a migration fails", (path) => {
  openSqlite({ path, migrations: [V1] }).close();
  assert.throws(() => openSqlite({ path, migrations: [V1, `${V2}; SELECT broken`] }), {
    code: "unavailable",
    message: /^cannot use the database .*: no such column: broken/,
  });
  const db = openSqlite({ path, migrations: [V1] });
  assert.deepEqual({ ...db.prepare("SELECT * FROM things").get() }, { name: "first" });
  db.close();
});

inFolder(
  "openSqlite() says what is wrong with a missing folder and with another kind of file",
  (path, dir) => {
    assert.throws(() => openSqlite({ path: `${dir}/none/test.db`, migrations: [] }), {
      code: "unavailable",
      message: `cannot open the database ${dir}/none/test.db; does its folder exist?`,
    });
    Deno.writeTextFileSync(path, "not a database ".repeat(100));
    assert.throws(() => openSqlite({ path, migrations: [V1] }), {
      code: "unavailable",
      message: `${path} is damaged (file is not a database): ${RESTORE}`,
    });
  },
);

inFolder("openSqlite() migrates a file once, though several processes open it at a time", async (path) => {
  const module = new URL("../../../lib/stores/engines/sqlite/file.ts", import.meta.url).href;
  const config = new URL("../../../deno.json", import.meta.url).pathname;
  const code = `import { openSqlite } from ${JSON.stringify(module)};
    openSqlite({ path: ${JSON.stringify(path)}, migrations: ${JSON.stringify([V1, V2])} }).close();`;
  const runs = Array.from(
    { length: 4 },
    () =>
      new Deno.Command(Deno.execPath(), { args: ["eval", "--quiet", `--config=${config}`, code] }).output(),
  );
  for (const run of await Promise.all(runs)) assert.equal(run.code, 0, new TextDecoder().decode(run.stderr));
  const db = openSqlite({ path, migrations: [V1, V2] });
  assert.equal(db.prepare("SELECT * FROM things").all().length, 1);
  db.close();
});

inFolder("transaction() leaves nothing of a body that throws", (path) => {
  const db = openSqlite({ path, migrations: [V1] });
  assert.throws(
    () =>
      transaction(db, () => {
        db.exec("DELETE FROM things");
        throw new Error("on purpose");
      }),
    { message: "on purpose" },
  );
  assert.equal(db.prepare("SELECT * FROM things").all().length, 1);
  assert.equal(db.isTransaction, false);
  db.close();
});

inFolder("Sqlite.write() waits for another's lock while timers run", async (path) => {
  const [one, two] = [1, 2].map(() => new Sqlite({ path, migrations: [V1], busy_ms: 5 })) as [Sqlite, Sqlite];
  one.db.exec("BEGIN IMMEDIATE");
  let ticks = 0;
  const timer = setInterval(() => ticks++, 5);
  setTimeout(() => one.db.exec("COMMIT"), 200);
  assert.equal(await two.write(() => two.run("DELETE FROM things")), 1);
  clearInterval(timer);
  assert.ok(ticks >= 5, `${ticks} ticks`);
  for (const db of [one, two]) db.close();
});

inFolder("Sqlite.writeEach() gives the lock away between transactions, each sealed", async (path) => {
  const db = new Sqlite({
    path,
    migrations: ["CREATE TABLE done (n INTEGER); CREATE TABLE seals (upto INTEGER)"],
  });
  const other = new Sqlite({ path, migrations: [""], busy_ms: 0 });
  const rows = Array.from({ length: 40 }, (_, n) => n);
  const seen: number[] = [];
  const timer = setInterval(() => {
    seen.push(other.get<{ n: number }>("SELECT count(*) AS n FROM done")!.n);
  }, 1);
  await db.writeEach(rows, (n) => {
    const until = performance.now() + 2;
    while (performance.now() < until);
    db.run("INSERT INTO done VALUES (?)", n);
  }, { beforeCommit: () => void db.run("INSERT INTO seals SELECT count(*) FROM done") });
  clearInterval(timer);
  const seals = db.all<{ upto: number }>("SELECT upto FROM seals").map((row) => row.upto);
  assert.ok(seals.length >= 4 && seals.at(-1) === 40, `${seals}`);
  assert.ok(seen.some((n) => n > 0 && n < 40), "nobody else saw a part of it");
  for (const n of seen) assert.ok(n === 0 || seals.includes(n), `${n} rows were seen, sealed were ${seals}`);
  for (const handle of [db, other]) handle.close();
});

inFolder("Sqlite.writeEach() leaves nothing of the transaction in which a row throws", async (path) => {
  const db = new Sqlite({ path, migrations: ["CREATE TABLE done (n INTEGER PRIMARY KEY)"] });
  await assert.rejects(db.writeEach([1, 2, 2], (n) => void db.run("INSERT INTO done VALUES (?)", n)));
  assert.equal(db.db.isTransaction, false);
  assert.deepEqual(db.all("SELECT n FROM done"), []);
  await db.writeEach([], () => assert.fail("no rows"), { beforeCommit: () => assert.fail("no transaction") });
  db.close();
});

inFolder("Sqlite.writeAll() repeats until less than the limit changed", async (path) => {
  const db = new Sqlite({ path, migrations: ["CREATE TABLE things (n INTEGER)"] });
  await db.writeEach(
    Array.from({ length: 25 }, (_, n) => n),
    (n) => void db.run("INSERT INTO things VALUES (?)", n),
  );
  const sql = "DELETE FROM things WHERE rowid IN (SELECT rowid FROM things WHERE n >= ? LIMIT ?)";
  assert.equal(await db.writeAll({ sql, values: [5], limit: 10 }), 20);
  assert.equal(db.get<{ n: number }>("SELECT count(*) AS n FROM things")?.n, 5);
  db.close();
});

inFolder("Sqlite.scrub() empties the write-ahead log once a reader has gone", async (path) => {
  const [db, reader] = [1, 2].map(() => new Sqlite({ path, migrations: [V1], busy_ms: 5 })) as [
    Sqlite,
    Sqlite,
  ];
  reader.db.exec("BEGIN; SELECT * FROM things");
  await db.write(() => db.run("DELETE FROM things"));
  setTimeout(() => reader.db.exec("COMMIT"), 50);
  await db.scrub();
  assert.equal(Deno.statSync(`${path}-wal`).size, 0);
  assert.equal(reader.db.isTransaction, false);
  for (const handle of [db, reader]) handle.close();
});

inFolder("a backup of an open database is whole and of the same version", async (path, dir) => {
  const db = new Sqlite({ path, migrations: [V1] });
  await backup(db.db, `${dir}/copy.db`);
  const copy = openSqlite({ path: `${dir}/copy.db`, migrations: [V1] });
  assert.equal(copy.prepare("SELECT * FROM things").all().length, 1);
  copy.close();
  db.close();
});

Deno.test("Sqlite.compact() leaves no copy of deleted rows that pages had, and every row with its number", async () => {
  const dir = await Deno.makeTempDir();
  const path = `${dir}/x.db`;
  const sql = new Sqlite({
    path,
    migrations: [`
      CREATE TABLE parents (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL) STRICT;
      CREATE TABLE rows (id TEXT NOT NULL UNIQUE, owner TEXT NOT NULL, text TEXT NOT NULL,
        parent INTEGER REFERENCES parents ON DELETE CASCADE) STRICT;
      CREATE INDEX rows_by_owner ON rows (owner);
      CREATE VIEW owners AS SELECT owner, count(*) AS n FROM rows GROUP BY owner;
      CREATE TABLE words (owner TEXT PRIMARY KEY, bytes BLOB) STRICT, WITHOUT ROWID`],
  });
  const next = seededRandom(1);
  for (const name of ["a", "b", "gone"]) sql.run("INSERT INTO parents (name) VALUES (?)", name);
  sql.run("DELETE FROM parents WHERE name = 'gone'");
  for (let batch = 0; batch < 80; batch++) {
    await sql.write(() => {
      for (let n = 0; n < 100; n++) {
        const who = next() < 0.05 ? "marked" : "plain";
        const owner = `${who}-${Math.floor(next() * 1e6)}`;
        const text = `${who} ${"x".repeat(Math.floor(next() * 300))}`;
        sql.run(
          "INSERT INTO rows VALUES (?, ?, ?, ?)",
          `${who}${next()}-${batch}-${n}`,
          owner,
          text,
          1 + n % 2,
        );
        sql.run(
          "INSERT OR IGNORE INTO words VALUES (?, ?)",
          owner + next(),
          new Uint8Array(Math.floor(next() * 200)),
        );
      }
    });
  }
  sql.run("DELETE FROM rows WHERE owner LIKE 'marked%'");
  sql.run("DELETE FROM words WHERE owner LIKE '%marked%'");
  await sql.scrub();
  assert.ok(await inFiles(dir, "marked"), "a page has a copy of a deleted row");
  const content = () => [
    sql.all("SELECT rowid, * FROM rows ORDER BY rowid"),
    sql.all("SELECT * FROM words ORDER BY owner"),
    sql.all("SELECT * FROM parents"),
    sql.all("SELECT * FROM sqlite_sequence"),
    sql.all("SELECT * FROM owners ORDER BY owner LIMIT 9"),
  ];
  const before = content();
  await sql.compact();
  assert.equal(await inFiles(dir, "marked"), false);
  assert.deepEqual(content(), before);
  assert.deepEqual(sql.get("PRAGMA quick_check"), { quick_check: "ok" });
  assert.deepEqual(sql.get("PRAGMA foreign_keys"), { foreign_keys: 1 });
  sql.close();
  await Deno.remove(dir, { recursive: true });
});

inFolder("Sqlite.inBulk() commits at its end, or as soon as another waits for the lock", async (path) => {
  const [db, other] = [1, 2].map(() => new Sqlite({ path, migrations: [V1], busy_ms: 0 })) as [
    Sqlite,
    Sqlite,
  ];
  const rows = (of: Sqlite) => of.get<{ n: number }>("SELECT count(*) AS n FROM things")!.n;
  const add = (to: Sqlite) => to.write(() => to.run("INSERT INTO things DEFAULT VALUES"));
  const before = rows(db);
  await db.inBulk(async () => {
    for (let n = 0; n < 3; n++) await add(db);
    assert.deepEqual([rows(db), await db.read(() => rows(db)), rows(other)], [
      before + 3,
      before + 3,
      before,
    ]);
    await add(other);
    assert.equal(rows(other), before + 4);
    await add(db);
    assert.equal(rows(other), before + 4, "the next transaction is open");
  });
  assert.equal(rows(other), before + 5);
  assert.deepEqual(
    [...Deno.readDirSync(path.replace(/[^/]+$/, ""))].filter(({ name }) => name.endsWith("-awaited")),
    [],
  );
  for (const each of [db, other]) each.close();
});

inFolder("Sqlite.inBulk() throws what a write in it has thrown, even if its work continues", async (path) => {
  const db = new Sqlite({ path, migrations: ["CREATE TABLE done (n INTEGER PRIMARY KEY)"] });
  const add = (n: number) => db.write(() => db.run("INSERT INTO done VALUES (?)", n));
  await assert.rejects(
    db.inBulk(async () => {
      await add(1);
      await assert.rejects(add(1), /UNIQUE/);
      await add(2);
    }),
    /UNIQUE/,
  );
  assert.deepEqual(db.all("SELECT n FROM done"), [{ n: 2 }], "1 was rolled back");
  await db.inBulk(() => add(3));
  assert.equal(db.all("SELECT n FROM done").length, 2);
  db.close();
});

inFolder("Sqlite.inBulk() may end while another write waits for its turn", async (path) => {
  const [db, other] = [1, 2].map(() =>
    new Sqlite({ path, migrations: ["CREATE TABLE done (n INTEGER)"] })
  ) as [
    Sqlite,
    Sqlite,
  ];
  const add = (n: number) => db.write(() => db.run("INSERT INTO done VALUES (?)", n));
  let waiting = Promise.resolve(0);
  await db.inBulk(async () => {
    await add(1);
    // Commits, after which others have their turn for a while.
    await db.scrub();
    waiting = add(2);
    for (let turn = 0; turn < 3; turn++) await yieldToEventLoop();
  });
  await waiting;
  assert.equal(other.all("SELECT n FROM done").length, 2, "nothing is open");
  await add(3);
  for (const each of [db, other]) each.close();
});

inFolder("Sqlite.inBulk() shares a file with another's", async (path) => {
  const both = [1, 2].map(() =>
    new Sqlite({ path, migrations: ["CREATE TABLE done (n INTEGER)"], busy_ms: 0 })
  );
  await Promise.all(both.map((db) =>
    db.inBulk(async () => {
      for (let n = 0; n < 3; n++) await db.write(() => db.run("INSERT INTO done VALUES (?)", n));
    })
  ));
  assert.equal(both[0]!.all("SELECT n FROM done").length, 6);
  for (const db of both) db.close();
});
