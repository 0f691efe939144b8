import assert from "node:assert/strict";
import { ParleyError } from "../../lib/core/errors.ts";
import type { Abortable } from "../../lib/core/types.ts";
import { PostgresAnalytics } from "../../lib/stores/analytics/postgres/postgres_analytics.ts";
import { openAnalytics, openRuns } from "../../lib/stores/open.ts";
import { Postgres } from "../../lib/stores/engines/postgres/postgres.ts";
import { checkVersion, postgresError } from "../../lib/stores/engines/postgres/errors.ts";
import { parsePostgresUrl } from "../../lib/stores/engines/postgres/url.ts";
import { ask, dropSchema, freshSchema, NEEDS_POSTGRES, POSTGRES } from "../fixtures/postgres.ts";
import { event } from "../fixtures/rows.ts";
import { proxied, tcpProxy } from "../fixtures/tcp_proxy.ts";
import { until } from "../fixtures/until.ts";

/** Asserts that a call fails with this code and sentence, and that nothing of the error shows a password. */
async function assertFails(call: () => Promise<unknown>, code: string, sentence: RegExp): Promise<void> {
  await assert.rejects(call, (error: unknown) => {
    assert.ok(error instanceof ParleyError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, sentence);
    assert.doesNotMatch(Deno.inspect(error), /secret|parley-test/);
    return true;
  });
}

Deno.test("parsePostgresUrl() reads every part", () => {
  const url = new URL("postgres://me%40home:se%2Fcret@[::1]:6000/my%20db?schema=mine&sslmode=verify-full");
  assert.deepEqual(parsePostgresUrl(url), {
    host: "::1",
    port: 6_000,
    user: "me@home",
    password: "se/cret",
    database: "my db",
    schema: "mine",
    ssl: { rejectUnauthorized: true },
  });
  const plain = parsePostgresUrl(new URL("postgresql://me@db/parley"));
  assert.deepEqual([plain.port, plain.schema, plain.ssl], [5_432, "parley", false]);
});

Deno.test("parsePostgresUrl() says what is wrong, without the password", async () => {
  for (
    const [rest, sentence] of [
      [
        "host/db?sslmod=require",
        /an unknown parameter; known are schema and sslmode/,
      ],
      ["host/db?sslmode=prefer", /sslmode that is not one of disable, require, verify-full/],
      ["host/db?schema=a;drop", /schema whose name is not plain/],
      ["host", /lacks a part/],
    ] as const
  ) {
    const url = new URL(`postgres://me:secret@${rest}`);
    await assertFails(() => Promise.resolve().then(() => parsePostgresUrl(url)), "invalid", sentence);
  }
});

Deno.test("checkVersion() refuses a server that is too old", async () => {
  const check = (number: number) => () =>
    Promise.resolve().then(() => checkVersion(number, "db:5432/parley"));
  await assertFails(check(130_014), "mismatch", /db:5432\/parley is version 13: use 14 or newer/);
  await check(140_000)();
});

Deno.test("postgresError() takes nothing over that may quote a row", () => {
  const raw = { code: "23505", severity: "ERROR", constraint: "events_key", detail: "Key (x)=(what I said)" };
  const error = postgresError(Object.assign(new Error("what I said"), raw), "db:5432/parley");
  assert.equal(
    error.message,
    "PostgreSQL at db:5432/parley refused a statement by its constraint events_key (23505)",
  );
  assert.doesNotMatch(Deno.inspect(error), /what I said/);
});

Deno.test("postgresError() says that a server requires TLS, or shows a certificate that is not trusted", () => {
  const words = 'no pg_hba.conf entry for host "10.0.0.1", user "me", database "db", no encryption';
  const encrypted = Object.assign(new Error(words), { code: "28000", severity: "FATAL" });
  for (
    const [error, sentence] of [
      [encrypted, /^PostgreSQL at db:5432\/parley requires encryption: add \?sslmode=require to its URL$/],
      [new Error("self-signed certificate in certificate chain"), /name its authority's file in DENO_CERT/],
    ] as const
  ) {
    const { code, message } = postgresError(error, "db:5432/parley");
    assert.equal(code, "mismatch");
    assert.match(message, sentence);
  }
});

if (POSTGRES === undefined) Deno.test.ignore(`Postgres: ${NEEDS_POSTGRES}`, () => {});
else suite(POSTGRES);

/** A table of one number, and a second step that can be left out. */
const STEPS = ["CREATE TABLE numbers (n BIGINT PRIMARY KEY)", "INSERT INTO numbers VALUES (7)"];

/** Gives a database of {@link STEPS} through a proxy, in a schema that is dropped at the end. */
async function withProxy(
  server: string,
  body: (options: { db: Postgres; url: URL; proxy: ReturnType<typeof tcpProxy> }) => Promise<void>,
): Promise<void> {
  const direct = freshSchema(server);
  const proxy = tcpProxy({ hostname: direct.hostname, port: Number(direct.port) });
  const url = new URL(direct);
  url.hostname = "127.0.0.1";
  url.port = String(proxy.port);
  const db = new Postgres({ url, store: "runs", migrations: STEPS });
  try {
    await body({ db, url, proxy });
  } finally {
    await db.close();
    await proxy.close();
    await dropSchema(direct);
  }
}

/** One store of {@link STEPS} in a fresh schema. */
async function withSchema(server: string, body: (url: URL) => Promise<void>): Promise<void> {
  const url = freshSchema(server);
  try {
    await body(url);
  } finally {
    await dropSchema(url);
  }
}

function suite(server: string): void {
  const opening = (change: (url: URL) => void, code: string, sentence: RegExp) => async () => {
    const url = freshSchema(server);
    change(url);
    for (const open of [openAnalytics, openRuns]) {
      const store = await open(url);
      await assertFails(() => store.health(), code, sentence);
      await store.close();
    }
  };
  const cases: [string, (url: URL) => void, string, RegExp][] = [
    ["a wrong password", (url) => url.password = "secret", "denied", /refuses the user or the password/],
    ["a missing database", (url) => url.pathname = "/none", "not_found", /no such database/],
    [
      "a port where nothing listens",
      (url) => url.port = "9",
      "unavailable",
      /127.0.0.1:9\/.* cannot be reached/,
    ],
    ["a host that is not there", (url) => url.hostname = "no.such.invalid", "unavailable", /cannot be found/],
    [
      "TLS that the server lacks",
      (url) => url.searchParams.set("sslmode", "require"),
      "mismatch",
      /has no TLS: remove sslmode/,
    ],
  ];
  for (const [what, ...rest] of cases) Deno.test(`Postgres says what to do about ${what}`, opening(...rest));

  Deno.test("Postgres says who may create the schema, and opens once it exists", () =>
    withSchema(server, async (url) => {
      const schema = url.searchParams.get("schema");
      await ask(url, `CREATE ROLE ${schema} LOGIN PASSWORD 'secret'`);
      const poor = new URL(url);
      [poor.username, poor.password] = [schema!, "secret"];
      const db = new Postgres({ url: poor, store: "runs", migrations: STEPS });
      await assertFails(() => db.health(), "denied", /grant it CREATE on the database/);
      await ask(url, `CREATE SCHEMA ${schema} AUTHORIZATION ${schema}`);
      assert.deepEqual(await db.all("SELECT n FROM numbers"), [{ n: 7 }]);
      await db.close();
      await dropSchema(url);
      await ask(url, `DROP ROLE ${schema}`);
    }));

  Deno.test("Postgres opens a schema whose name is a word of SQL's", async () => {
    const url = new URL(server);
    url.searchParams.set("schema", "user");
    await dropSchema(url);
    const db = new Postgres({ url, store: "runs", migrations: STEPS });
    assert.deepEqual(await db.all("SELECT n FROM numbers"), [{ n: 7 }]);
    await db.close();
    const repeated = new Postgres({ url, store: "runs", migrations: STEPS });
    assert.deepEqual(await repeated.all("SELECT n FROM numbers"), [{ n: 7 }]);
    await repeated.close();
    await dropSchema(url);
  });

  Deno.test("Postgres is migrated once by many that open it at the same time", () =>
    withSchema(server, async (url) => {
      const many = Array.from({ length: 6 }, () => new Postgres({ url, store: "runs", migrations: STEPS }));
      const sql = "SELECT n FROM numbers";
      const found = await Promise.all(many.flatMap((db) => [db.all(sql), db.all(sql)]));
      assert.deepEqual(found, Array(12).fill([{ n: 7 }]));
      for (const db of many) await db.close();
    }));

  Deno.test("Postgres migrates an older schema, and refuses a newer one", () =>
    withSchema(server, async (url) => {
      const open = (migrations: string[]) => new Postgres({ url, store: "runs", migrations });
      const [old, now] = [open(STEPS.slice(0, 1)), open(STEPS)];
      assert.deepEqual(await old.all("SELECT n FROM numbers"), []);
      assert.deepEqual(await now.all("SELECT n FROM numbers"), [{ n: 7 }]);
      const late = open(STEPS.slice(0, 1));
      await assertFails(() => late.health(), "mismatch", /have version 2, and this Parley knows 1/);
      for (const db of [old, now, late]) await db.close();
    }));

  Deno.test("Postgres.write() is whole or not at all, and passes on what its body throws", () =>
    withSchema(server, async (url) => {
      const db = new Postgres({ url, store: "runs", migrations: STEPS });
      const mine = new Error("mine");
      const broken = db.write(async (session) => {
        await session.run("INSERT INTO numbers VALUES (8)");
        throw mine;
      });
      await assert.rejects(broken, mine);
      const twice = db.write(async (session) => {
        for (const n of [9, 9]) await session.run("INSERT INTO numbers VALUES ($1)", [n]);
      });
      await assertFails(() => twice, "invalid", /numbers_pkey \(23505\)/);
      assert.deepEqual(await db.all("SELECT n FROM numbers"), [{ n: 7 }]);
      await db.close();
    }));

  Deno.test("Postgres.write() is done again where two wait for each other", () =>
    withSchema(server, async (url) => {
      const db = new Postgres({ url, store: "runs", migrations: STEPS });
      await db.run("INSERT INTO numbers VALUES (1), (2)");
      const met = Promise.withResolvers<void>();
      let here = 0;
      const lockBoth = (order: number[]) =>
        db.write(async (session) => {
          for (const n of order) {
            await session.run("SELECT n FROM numbers WHERE n = $1 FOR UPDATE", [n]);
            if (++here === 2) met.resolve();
            await met.promise;
          }
        });
      await Promise.all([lockBoth([1, 2]), lockBoth([2, 1])]);
      assert.ok(here > 4, "one of them had to begin again");
      await db.close();
    }));

  Deno.test("Postgres bounds a statement, and the connection is good for the next", () =>
    withSchema(server, async (url) => {
      const db = new Postgres({ url, store: "runs", migrations: STEPS });
      const slow = db.read((session) => session.all("SELECT pg_sleep(30)"), { timeout_ms: 100 });
      await assertFails(() => slow, "unavailable", /did not answer in time/);
      assert.deepEqual(await db.all("SELECT n FROM numbers"), [{ n: 7 }]);
      await db.close();
    }));

  Deno.test("Postgres has the server cancel the statement of an aborted call, and keeps the connection", () =>
    withSchema(server, async (url) => {
      const db = new Postgres({ url, store: "runs", migrations: STEPS });
      const backend = async () => (await db.get<{ pid: number }>("SELECT pg_backend_pid() AS pid"))!.pid;
      const state = async (pid: number) => {
        const sql = `SELECT state, query LIKE '%pg_sleep%' AS slept FROM pg_stat_activity WHERE pid = ${pid}`;
        return (await ask<{ state: string; slept: boolean }>(url, sql))[0];
      };
      const pid = await backend();
      const slow = "SELECT pg_sleep(600)";
      const calls: ((options: Abortable & { timeout_ms: number }) => Promise<unknown>)[] = [
        (options) => db.all(slow, [], options),
        (options) => db.read((session) => session.all(slow), options),
        (options) => db.write((session) => session.run(slow), options),
      ];
      for (const call of calls) {
        const controller = new AbortController();
        const ended = assert.rejects(call({ signal: controller.signal, timeout_ms: 600_000 }), {
          name: "AbortError",
        });
        await until(async () => (await state(pid))?.state === "active");
        controller.abort();
        await ended;
        await until(async () => (await state(pid))?.state === "idle");
        assert.equal(await backend(), pid, "the connection is good for the next");
      }
      await db.close();
    }));

  Deno.test("Postgres.write() whose signal is aborted between two statements is undone", () =>
    withSchema(server, async (url) => {
      const db = new Postgres({ url, store: "runs", migrations: STEPS });
      const controller = new AbortController();
      const undone = db.write(async (session) => {
        await session.run("INSERT INTO numbers VALUES (8)");
        controller.abort();
        await session.run("INSERT INTO numbers VALUES (9)");
      }, { signal: controller.signal });
      await assert.rejects(undone, { name: "AbortError" });
      assert.deepEqual(await db.all("SELECT n FROM numbers"), [{ n: 7 }]);
      await db.close();
    }));

  Deno.test("health() answers while a whole table is locked, and then has no size", () =>
    withProxy(server, async ({ db }) => {
      assert.ok((await db.health()).bytes! > 0);
      await db.write(async (session) => {
        await session.run("LOCK TABLE numbers IN ACCESS EXCLUSIVE MODE");
        const { bytes, latency_ms } = await db.health();
        assert.equal(bytes, null);
        assert.ok(latency_ms < 300);
      });
      assert.ok((await db.health()).bytes! > 0);
    }));

  Deno.test("Postgres is not worn out by many aborted calls of a silent server", () =>
    withProxy(server, async ({ db, proxy }) => {
      await db.health();
      proxy.hang(true);
      for (let n = 0; n < 20; n++) {
        await assert.rejects(db.health({ signal: AbortSignal.timeout(5) }), { name: "TimeoutError" });
      }
      proxy.hang(false);
      assert.deepEqual(await db.all("SELECT n FROM numbers"), [{ n: 7 }]);
    }));

  Deno.test("Postgres recovers from a cut connection", () =>
    withProxy(server, async ({ db, proxy }) => {
      await db.health();
      const cut = db.all("SELECT pg_sleep(1)");
      await new Promise((resume) => setTimeout(resume, 100));
      proxy.cut();
      assert.equal((await cut).length, 1, "a question is asked again");
      const write = db.write((session) => session.run("SELECT pg_sleep(30)"));
      await new Promise((resume) => setTimeout(resume, 100));
      proxy.cut();
      await assertFails(() => write, "unavailable", /broke the connection/);
      await Promise.all([db.health(), db.health(), db.health()]);
      proxy.cut();
      await db.write((session) => session.run("INSERT INTO numbers VALUES (8)"));
      proxy.cut();
      assert.deepEqual(await db.all("SELECT n FROM numbers ORDER BY n"), [{ n: 7 }, { n: 8 }]);
    }));

  Deno.test("Postgres notices a server that has fallen silent, and closes nevertheless", () =>
    withProxy(server, async ({ db, proxy }) => {
      await db.health();
      proxy.hang(true);
      const silent = db.read((session) => session.all("SELECT n FROM numbers"), { timeout_ms: 500 });
      await assertFails(() => silent, "unavailable", /did not answer in time/);
      proxy.hang(false);
      assert.deepEqual(await db.all("SELECT n FROM numbers"), [{ n: 7 }]);
      proxy.hang(true);
      const start = performance.now();
      await db.close();
      assert.ok(performance.now() - start < 10_000);
    }));

  Deno.test("Postgres gives up a server that falls silent just after login, closes, and opens once it speaks", () =>
    withSchema(server, async (direct) => {
      let silent = true;
      // The last that is heard of it is that it has done what `SET` says.
      const change = (bytes: Uint8Array) => {
        if (silent && new TextDecoder().decode(bytes).includes("SET\0")) proxy.strand();
      };
      const { url, proxy } = proxied(direct, 5_432, { change });
      const [one, other] = [1, 2].map(() => new Postgres({ url, store: "runs", migrations: STEPS })) as [
        Postgres,
        Postgres,
      ];
      const start = performance.now();
      await Promise.all([
        assertFails(() => one.health(), "unavailable", /did not answer in time/),
        assertFails(() => other.health(), "unavailable", /did not answer in time/),
        other.close(),
      ]);
      assert.ok(performance.now() - start < 60_000, "and not as long as a migration may take");
      silent = false;
      assert.deepEqual(await one.all("SELECT n FROM numbers"), [{ n: 7 }]);
      await one.close();
      await proxy.close();
    }));

  Deno.test("Postgres.close() cuts off what would take long", () =>
    withSchema(server, async (url) => {
      const db = new Postgres({ url, store: "runs", migrations: STEPS });
      const begun = Promise.withResolvers<void>();
      const long = db.read(async (session) => {
        begun.resolve();
        await session.all("SELECT pg_sleep(90)");
      }, { timeout_ms: 90_000 });
      const cut = assertFails(() => long, "unavailable", /broke the connection|were closed/);
      await begun.promise;
      const start = performance.now();
      await db.close();
      assert.ok(performance.now() - start < 60_000);
      await cut;
    }));

  Deno.test("Postgres.close() lets queries in progress end, can be called twice, and refuses later queries", () =>
    withSchema(server, async (url) => {
      const store = new PostgresAnalytics({ url });
      const rows = Array.from({ length: 40 }, () => event());
      const asked = rows.map((row) => store.upsertEvents({ events: [row] }));
      await Promise.all([store.close(), store.close()]);
      const written = await Promise.all(asked);
      assert.equal(written.reduce((sum, counts) => sum + counts.inserted, 0), 40);
      await assertFails(() => store.health(), "unavailable", /the analytics were closed/);
      const unused = new PostgresAnalytics({ url });
      await unused.close();
    }));
}
