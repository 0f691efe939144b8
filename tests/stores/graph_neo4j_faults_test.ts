import assert from "node:assert/strict";
import { loadNeo4j } from "../../deps.ts";
import { ParleyError } from "../../lib/core/errors.ts";
import { Neo4jConnection } from "../../lib/stores/graph/neo4j/connection.ts";
import { toStoreError, versionOf } from "../../lib/stores/graph/neo4j/errors.ts";
import { Neo4jGraph } from "../../lib/stores/graph/neo4j/neo4j_graph.ts";
import { parseNeo4jUrl } from "../../lib/stores/graph/neo4j/url.ts";
import { dropNamespace, engages, neo4jServer, urlOf } from "../fixtures/neo4j.ts";
import { tcpProxy } from "../fixtures/tcp_proxy.ts";
import { until } from "../fixtures/until.ts";

/** Asserts that a call fails with this code and sentence, and that nothing of it shows a password. */
async function assertFails(call: Promise<unknown>, code: string, sentence: RegExp): Promise<void> {
  await assert.rejects(call, (error: unknown) => {
    assert.ok(error instanceof ParleyError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, sentence);
    assert.doesNotMatch(error.message, /secret|parley-test|namespace=/);
    return true;
  });
}

function opening(server: string): void {
  const failing = (
    title: string,
    url: URL | (() => Promise<{ url: URL; stop(): void }>),
    code: string,
    sentence: RegExp,
  ) =>
    Deno.test(`Neo4jGraph says ${title}`, async () => {
      const { url: at, stop } = url instanceof URL ? { url, stop: () => {} } : await url();
      const store = new Neo4jGraph({ url: at, read_ms: 3_000 });
      try {
        await assertFails(store.health(), code, sentence);
        await assertFails(store.intentsOf({ user_id: "a", limit: 1 }), code, sentence);
      } finally {
        await store.close();
        stop();
      }
    });

  failing(
    "that nothing listens",
    new URL("bolt://me:secret@127.0.0.1:1"),
    "unavailable",
    /bolt:\/\/127\.0\.0\.1:1 cannot be reached .*ECONNREFUSED.*; check host and port/,
  );
  failing(
    "that a host is unknown",
    new URL("neo4j://me:secret@no-such-host.invalid"),
    "unavailable",
    /cannot be reached .*ENOTFOUND/,
  );
  failing(
    "that a password is wrong",
    urlOf(server, (url) => Object.assign(url, { username: `no${Date.now()}`, password: "secret" })),
    "denied",
    /refused the user name or password/,
  );
  failing(
    "that a login is missing",
    urlOf(server, (url) => Object.assign(url, { username: "", password: "" })),
    "denied",
    /refused the user name or password/,
  );
  failing(
    "that a database is missing",
    urlOf(server, (url) => url.pathname = "/missing"),
    "not_found",
    /has no database of the name in PARLEY_GRAPH; create it/,
  );
  failing(
    "that a server has no TLS",
    new URL(urlOf(server).href.replace(/^\w+:/, "bolt+s:")),
    "unavailable",
    /does not speak TLS at this port; switch it on there, or leave \+s out/,
  );
  failing(
    "that a port is not Bolt's but HTTP's",
    answering("HTTP/1.1 400 Bad Request\r\n\r\n"),
    "mismatch",
    /answers HTTP/,
  );
  failing(
    "that a server is too old to talk to",
    answering("\0\0\0\0"),
    "mismatch",
    /needs Neo4j 5\.23 or newer/i,
  );

  failing(
    "that a server requires TLS",
    answering("\x15\x03\x03\x00\x02\x02\x46"),
    "mismatch",
    /if it requires TLS, put \+s behind/,
  );

  Deno.test("toStoreError() says that a certificate is not trusted", () => {
    const inner = new Error(
      "Failed to connect. Caused by: Server certificate is not trusted. DEPTH_ZERO_SELF_SIGNED_CERT",
    );
    const { code, message } = toStoreError(
      new Error("Could not perform discovery.", { cause: inner }),
      parseNeo4jUrl(new URL("neo4j+s://me:secret@localhost")),
    );
    assert.equal(code, "unavailable");
    assert.match(
      message,
      /^the graph store at neo4j\+s:\/\/localhost shows a certificate that is not trusted here; give/,
    );
  });

  Deno.test("versionOf() refuses a server that lacks clauses", () => {
    const address = parseNeo4jUrl(new URL("bolt://localhost"));
    assert.equal(versionOf("Neo4j/5.26.30", address), "5.26.30");
    assert.equal(versionOf("Neo4j/2025.01.0", address), "2025.01.0");
    for (const agent of ["Neo4j/4.4.40", "Neo4j/5.22.0", "Neo4j/v5.2.0 compatible", ""]) {
      assert.throws(() => versionOf(agent, address), { code: "mismatch", message: /upgrade the server/ });
    }
  });

  Deno.test("parseNeo4jUrl() reads login, database and namespace, and refuses unknown parts", () => {
    assert.deepEqual(parseNeo4jUrl(new URL("neo4j+s://me:p%40%2F@[::1]:7688/graph?namespace=a")), {
      server: "neo4j+s://[::1]:7688",
      login: { user: "me", password: "p@/" },
      database: "graph",
      namespace: "a",
    });
    assert.deepEqual(parseNeo4jUrl(new URL("bolt://h")), {
      server: "bolt://h",
      login: null,
      database: null,
      namespace: "parley",
    });
    for (const url of ["bolt://me:secret@h/?name=a", "bolt:h"]) {
      assert.throws(() => parseNeo4jUrl(new URL(url)), (error: ParleyError) => {
        assert.equal(error.code, "invalid");
        assert.doesNotMatch(error.message, /secret/);
        return true;
      });
    }
  });

  Deno.test("Neo4jGraph says which permission the driver lacks", async () => {
    const code = `const { Neo4jGraph } = await import(${JSON.stringify(MODULE)});
      const store = new Neo4jGraph({ url: new URL("bolt://127.0.0.1:1") });
      await store.health().catch((error) => console.log(error.code, error.message));
      await store.close();`;
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--no-prompt",
        `--config=${CONFIG}`,
        "--allow-net",
        `data:text/javascript,${encodeURIComponent(code)}`,
      ],
      stderr: "inherit",
    }).output();
    assert.match(new TextDecoder().decode(stdout), /^denied .*--allow-sys=osRelease/);
  });
}

const MODULE = import.meta.resolve("../../lib/stores/graph/neo4j/neo4j_graph.ts");
const CONFIG = decodeURIComponent(new URL("../../deno.json", import.meta.url).pathname);

/** A server that answers each connection's first bytes by these, and closes it. */
function answering(bytes: string) {
  return async () => {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const served = (async () => {
      for await (const connection of listener) {
        await connection.read(new Uint8Array(64));
        await connection.write(new TextEncoder().encode(bytes));
        connection.close();
      }
    })();
    await Promise.resolve();
    return {
      url: new URL(`bolt://me:secret@127.0.0.1:${listener.addr.port}`),
      stop: () => {
        listener.close();
        served.catch(() => {});
      },
    };
  };
}

function faults(server: string): void {
  /** A store behind a proxy that has answered once. The driver takes about a second to try again. */
  const behindProxy = async (
    body: (options: { store: Neo4jGraph; proxy: ReturnType<typeof tcpProxy> }) => Promise<void>,
  ) => {
    const { hostname, port } = new URL(server);
    const proxy = tcpProxy({ hostname, port: Number(port || 7_687) });
    const url = urlOf(server, (url) => url.host = `127.0.0.1:${proxy.port}`);
    const store = new Neo4jGraph({
      url: new URL(url.href.replace(/^neo4j/, "bolt")),
      read_ms: 5_000,
      write_ms: 5_000,
    });
    try {
      await store.setEngaged({ user_ids: ["a"], edges: [engages("a", "k")] });
      await body({ store, proxy });
    } finally {
      await store.close();
      await proxy.close();
      await dropNamespace(urlOf(server, (at) => at.search = url.search));
    }
  };
  const found = [engages("a", "k")];
  const ask = (store: Neo4jGraph) => store.engagedBy({ user_ids: ["a"], limit: 1 });

  Deno.test("Neo4jGraph asks again after its connections were cut", async () => {
    await behindProxy(async ({ store, proxy }) => {
      proxy.cut();
      assert.deepEqual(await ask(store), found);
    });
  });

  Deno.test("Neo4jGraph gives up on a silent server in time, for a question, a write and a login, and recovers", async () => {
    await behindProxy(async ({ store, proxy }) => {
      proxy.hang(true);
      for (const call of [() => ask(store), () => store.health()]) {
        const start = performance.now();
        await assertFails(call(), "unavailable", /did not answer in 5000 ms/);
        assert.ok(performance.now() - start < 15_000);
      }
      await assertFails(store.setEngaged({ user_ids: ["a"], edges: [] }), "unavailable", /did not answer/);
      proxy.hang(false);
      assert.deepEqual(await ask(store), found);
    });
  });

  /** Counts the transactions of a query, which begins with a mark of its own, as the server has them. */
  const marked = () => {
    const mark = `/* marked-${crypto.randomUUID()} */`;
    const query = `${mark} UNWIND range(1, 1000000000) AS i WITH i WHERE i % 7 = 8 RETURN count(i)`;
    const list =
      "SHOW TRANSACTIONS YIELD currentQuery WHERE currentQuery STARTS WITH $mark RETURN currentQuery";
    const running = async (connection: Neo4jConnection) =>
      (await connection.read((tx) => tx.run(list, { mark }))).records.length;
    return { query, running };
  };

  Deno.test("Neo4jConnection.read() ends what takes too long, and so does the server", async () => {
    const connection = new Neo4jConnection({ url: urlOf(server), read_ms: 2_000, write_ms: 2_000 });
    const other = new Neo4jConnection({ url: urlOf(server) });
    const { query, running } = marked();
    const asked = assertFails(
      connection.read((tx) => tx.run(query)),
      "unavailable",
      // The server looks for such transactions every two seconds, so either may be the first to give up.
      /did not get that done .*TimedOut|did not answer in 2000 ms/,
    );
    await until(async () => await running(other) === 1);
    await asked;
    await until(async () => await running(other) === 0);
    await connection.close();
    await other.close();
  });

  Deno.test("Neo4jConnection has the server end the transaction of an aborted call", async () => {
    const connection = new Neo4jConnection({ url: urlOf(server) });
    const { query: long, running: count } = marked();
    const running = () => count(connection);
    for (const call of ["read", "write"] as const) {
      const controller = new AbortController();
      const { signal } = controller;
      const asked = call === "read"
        ? connection.read((tx) => tx.run(long), { ms: 60_000, signal })
        : connection.write((tx) => tx.run(long), { signal });
      const ended = assert.rejects(asked, { name: "AbortError" });
      await until(async () => await running() === 1);
      controller.abort();
      await ended;
      await until(async () => await running() === 0);
    }
    await connection.close();
  });

  Deno.test("Neo4jGraph is not worn out by many aborted calls of a silent server", async () => {
    await behindProxy(async ({ store, proxy }) => {
      proxy.hang(true);
      for (let n = 0; n < 150; n++) {
        // So slowly that the driver is given up before its pool of 100 is full: its queue has timers that outlive it.
        const signal = AbortSignal.timeout(20);
        await assert.rejects(store.intentsOf({ user_id: "a", limit: 1, signal }), { name: "TimeoutError" });
      }
      proxy.hang(false);
      assert.deepEqual(await ask(store), found);
    });
  });

  Deno.test("Neo4jGraph.close() ends calls that are under way, and is idempotent", async () => {
    await behindProxy(async ({ store, proxy }) => {
      proxy.hang(true);
      const asked = assertFails(ask(store), "unavailable", /was closed/);
      await new Promise((resume) => setTimeout(resume, 50));
      await store.close();
      await asked;
      await store.close();
      await assertFails(ask(store), "unavailable", /is closed/);
    });
  });

  Deno.test("Neo4jGraph.close() ends a connection that is being made", async () => {
    const store = new Neo4jGraph({ url: urlOf(server) });
    const asked = assertFails(ask(store), "unavailable", /closed/);
    await store.close();
    await asked;
  });

  Deno.test("loadNeo4j() gives errors that are instances of Neo4jError, without which nothing is retried", async () => {
    const { default: neo4j } = await loadNeo4j();
    const connection = new Neo4jConnection({ url: urlOf(server) });
    await assert.rejects(
      connection.read((tx) => tx.run("RETURN")),
      (error: Error) => error.cause instanceof neo4j.Neo4jError,
    );
    await connection.close();
  });
}

const SERVER = neo4jServer("Neo4jGraph under faults");
if (SERVER !== null) {
  opening(SERVER);
  faults(SERVER);
}
