/** What a Milvus that cannot be used is called, and what its URL may say. */
import assert from "node:assert/strict";
import { MilvusVectorStores } from "../../lib/stores/vectors/milvus/milvus_vector_stores.ts";
import { parseMilvusUrl } from "../../lib/stores/vectors/milvus/url.ts";
import { freshMilvus, MILVUS } from "../fixtures/milvus.ts";
import { profile } from "../fixtures/vectors.ts";

const MODEL = { name: "test", revision: "0", dimension: 4, pooling: "mean" } as const;

if (MILVUS === undefined) {
  Deno.test({ name: "MilvusVectors refuses: PARLEY_TEST_MILVUS is not set", ignore: true, fn() {} });
} else {
  refusals(MILVUS);
}

function refusals(server: string): void {
  Deno.test("MilvusVectors names a database that is not there, which to Milvus Lite none is", async () => {
    const present = new MilvusVectorStores({ url: freshMilvus() });
    const { version } = await present.health();
    await present.close();
    const url = new URL(server);
    url.pathname = "/no_such_database";
    if (!/milvus_lite/.test(version)) {
      return await refuses(url, "not_found", /has no database no_such_database: create it/);
    }
    const lite = new MilvusVectorStores({ url });
    assert.equal((await lite.health()).version, version);
    await lite.close();
  });

  Deno.test("MilvusVectors says when TLS meets a server without it", async () => {
    const url = new URL(server.replace(/^milvus:/, "milvuss:").replace("127.0.0.1", "localhost"));
    await refuses(url, "unavailable", /cannot be reached: if it does not speak TLS write milvus:\/\//);
  });

  const { username } = new URL(server);
  const unknown = { ignore: username === "" };
  Deno.test(
    "MilvusVectors says when the password is wrong (needs a server with login)",
    unknown,
    async () => {
      const url = new URL(server);
      url.password = "s3cret-and-wrong";
      await refuses(url, "denied", /refuses the user, password or token/);
    },
  );
}

Deno.test("MilvusVectors says when nothing listens", async () => {
  await refuses(
    new URL("milvus://me:s3cret@127.0.0.1:1"),
    "unavailable",
    /at 127\.0\.0\.1:1 .* start it, or/,
  );
  await refuses(new URL("milvus://me:s3cret@nowhere.invalid"), "unavailable", /at nowhere\.invalid:19530 /);
});

Deno.test("MilvusVectors gives up on a server that accepts and never answers", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const taken: Deno.Conn[] = [];
  const accepting = (async () => {
    for await (const connection of listener) taken.push(connection);
  })();
  const start = performance.now();
  try {
    await refuses(
      new URL(`milvus://127.0.0.1:${listener.addr.port}`),
      "unavailable",
      /did not answer in time/,
      2_000,
    );
  } finally {
    listener.close();
    for (const connection of taken) connection.close();
    await accepting;
  }
  const took = performance.now() - start;
  assert.ok(took < 30_000, `it took ${took} ms`);
});

Deno.test("MilvusVectorStores give up at their signal, at once, whatever the server does", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const taken: Deno.Conn[] = [];
  const accepting = (async () => {
    for await (const connection of listener) taken.push(connection);
  })();
  const url = new URL(`milvus://127.0.0.1:${listener.addr.port}`);
  const stores = new MilvusVectorStores({ url, timeout_ms: 3_000 });
  try {
    const store = await stores.forModel({ model: MODEL });
    const reason = new Error("no longer wanted");
    const calls = [
      (signal: AbortSignal) => store.counts({ signal }),
      (signal: AbortSignal) =>
        store.upsert({ collection: "profiles", rows: [profile("u", Float32Array.of(1, 0, 0, 0))], signal }),
      (signal: AbortSignal) => stores.models({ signal }),
      (signal: AbortSignal) => stores.drop({ model: MODEL, signal }),
    ];
    const start = performance.now();
    for (const call of calls) {
      const controller = new AbortController();
      setTimeout(() => controller.abort(reason), 20);
      assert.equal(await call(controller.signal).then(() => null, (error) => error), reason);
    }
    assert.ok(performance.now() - start < 3_000, "it waited for the server");
  } finally {
    await stores.close();
    listener.close();
    for (const connection of taken) connection.close();
    await accepting;
    await new Promise((resume) => setTimeout(resume, 300));
  }
});

Deno.test("parseMilvusUrl() reads hosts, credentials, databases and prefixes", () => {
  const plain = parseMilvusUrl(new URL("milvus://127.0.0.1"));
  assert.deepEqual(plain, {
    host: "127.0.0.1:19530",
    tls: false,
    credentials: { username: "", password: "" },
    database: "default",
    prefix: "parley_",
    managed: false,
  });
  const full = parseMilvusUrl(new URL("milvuss://root:a%40b@db.example:1953/parley?prefix=x_"));
  assert.deepEqual(full, {
    host: "db.example:1953",
    tls: true,
    credentials: { username: "root", password: "a@b" },
    database: "parley",
    prefix: "x_",
    managed: false,
  });
  const cloud = parseMilvusUrl(new URL("https://key@in01.cloud.zilliz.com"));
  assert.deepEqual([cloud.host, cloud.tls, cloud.managed], ["in01.cloud.zilliz.com:443", true, true]);
  assert.deepEqual(cloud.credentials, { token: "key" });
  for (const prefix of ["", "1x", "a-b", 'a" or "', "x".repeat(65)]) {
    const url = new URL("milvus://127.0.0.1");
    url.searchParams.set("prefix", prefix);
    assert.throws(() => parseMilvusUrl(url), { code: "invalid", message: /needs a prefix/ }, prefix);
  }
  assert.throws(() => parseMilvusUrl(new URL("milvus://me:s3cret@h?prefix=a_&prefx=b_")), {
    code: "invalid",
    message: "PARLEY_VECTORS has an unknown parameter; the only one is prefix",
  });
});

/** The first call fails so, and its sentence holds no secret. */
async function refuses(url: URL, code: string, sentence: RegExp, timeout_ms = 20_000): Promise<void> {
  const store = new MilvusVectorStores({ url, timeout_ms });
  try {
    const error: Error = await store.health().then(() => assert.fail("it connected"), (thrown) => thrown);
    assert.equal((error as Error & { code?: string }).code, code, error.message);
    assert.match(error.message, sentence);
    assert.ok(!Deno.inspect(error).includes("s3cret"), "the password is shown");
  } finally {
    await store.close();
    // gRPC forgets a refused connection by a timer of its own, which does not keep a process alive.
    await new Promise((resume) => setTimeout(resume, 300));
  }
}
