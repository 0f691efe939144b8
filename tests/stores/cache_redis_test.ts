import assert from "node:assert/strict";
import { loadRedis } from "../../deps.ts";
import { RedisCache } from "../../lib/stores/cache/redis/redis_cache.ts";
import { cacheContract } from "../contracts/cache.ts";
import { proxied, tcpProxy } from "../fixtures/tcp_proxy.ts";
import { until } from "../fixtures/until.ts";
import { assertOneComputes } from "../fixtures/stampede.ts";

const SERVER = Deno.env.get("PARLEY_TEST_REDIS");
const MINUTE = 60_000;

if (SERVER === undefined) {
  Deno.test({ name: "RedisCache: PARLEY_TEST_REDIS, the URL of a Redis, is not set", ignore: true, fn() {} });
} else {
  cacheContract("RedisCache", () => {
    const store = new RedisCache({ url: ownNamespace() });
    return Promise.resolve({ store, close: () => store.close() });
  }, () => {
    const { url, proxy } = proxied(ownNamespace(), 6_379);
    const store = new RedisCache({ url });
    const close = async () => {
      await store.close();
      await proxy.close();
    };
    return Promise.resolve({ store, hang: proxy.hang, close });
  });
  keeping();
  refusing();
  failing();
}

/** The server's URL with a namespace that no other test uses; its entries expire. */
function ownNamespace(): URL {
  const url = new URL(SERVER!);
  url.searchParams.set("namespace", `parley-test-${crypto.randomUUID()}`);
  return url;
}

function keeping(): void {
  Deno.test("RedisCache has its entries when opened again, each namespace its own", async () => {
    const url = ownNamespace();
    const first = new RedisCache({ url });
    await first.set({ key: "a", value: "1", ttl_ms: MINUTE });
    await first.close();
    const [second, other] = [new RedisCache({ url }), new RedisCache({ url: ownNamespace() })];
    assert.equal(await second.get({ key: "a" }), "1");
    assert.equal(await other.get({ key: "a" }), null);
    await Promise.all([second.close(), other.close()]);
  });

  Deno.test("RedisCache.set() gives every key its namespace and a time to live", async () => {
    const url = ownNamespace();
    const cache = new RedisCache({ url });
    await cache.set({ key: "a", value: "1", ttl_ms: MINUTE - 0.5 });
    const { Redis } = await loadRedis();
    const { hostname, port, password } = url;
    const redis = new Redis({ host: hostname, port: Number(port || 6379), password });
    const left = await redis.pttl(`${url.searchParams.get("namespace")}:a`);
    assert.ok(left > MINUTE / 2 && left <= MINUTE, `${left} ms`);
    await redis.quit();
    await cache.close();
  });

  Deno.test("RedisCache lets one of two processes compute what 200 ask at once", async () => {
    const url = ownNamespace();
    const [one, other] = [new RedisCache({ url }), new RedisCache({ url })];
    await assertOneComputes([one, other]);
    await Promise.all([one.close(), other.close()]);
  });

  Deno.test("RedisCache answers a thousand calls that are made before it is connected", async () => {
    const cache = new RedisCache({ url: ownNamespace() });
    const keys = Array.from({ length: 1_000 }, (_, n) => `k${n}`);
    await Promise.all(keys.map((key) => cache.set({ key, value: key, ttl_ms: MINUTE })));
    assert.deepEqual(await Promise.all(keys.map((key) => cache.get({ key }))), keys);
    await cache.close();
  });
}

function refusing(): void {
  const refuses = async (change: (url: URL) => void, code: string, message: RegExp) => {
    const url = ownNamespace();
    change(url);
    const cache = new RedisCache({ url, call_ms: 3_000 });
    const error = await cache.get({ key: "a" }).then(() => assert.fail("it answered"), (error) => error);
    await cache.close();
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    const shown = Deno.inspect(error, { depth: 20, showHidden: true });
    assert.ok(url.password === "" || !shown.includes(url.password));
  };

  Deno.test("RedisCache says that the password is wrong", () =>
    refuses((url) => url.password = "swordfish", "denied", /refused the password: correct PARLEY_CACHE$/));

  Deno.test("RedisCache says that a password is asked for", () =>
    refuses((url) => url.password = "", "denied", /asks for a password/));

  Deno.test("RedisCache says that there is no such database", () =>
    refuses((url) => url.pathname = "/9999", "invalid", /has no database of that number/));

  Deno.test("RedisCache says that the server does not speak TLS", () =>
    refuses(
      (url) => url.href = url.href.replace("redis:", "rediss:"),
      "unavailable",
      /does it speak TLS\?$/,
    ));
}

function failing(): void {
  /** A cache behind a proxy that can misbehave. */
  const test = (
    title: string,
    body: (cache: RedisCache, proxy: ReturnType<typeof tcpProxy>) => Promise<void>,
  ) =>
    Deno.test(title, async () => {
      const { hostname, port } = new URL(SERVER!);
      const proxy = tcpProxy({ hostname, port: Number(port || 6379) });
      const url = ownNamespace();
      url.host = `127.0.0.1:${proxy.port}`;
      const cache = new RedisCache({ url, call_ms: 2_000 });
      await cache.set({ key: "a", value: "1", ttl_ms: MINUTE });
      try {
        await body(cache, proxy);
      } finally {
        await cache.close();
        await proxy.close();
      }
    });

  test("RedisCache connects again after its connection was cut", async (cache, proxy) => {
    proxy.cut();
    await recovers(cache);
  });

  test("RedisCache gives up a server that hangs, and is back within seconds of it", async (cache, proxy) => {
    proxy.hang(true);
    const start = performance.now();
    await assert.rejects(cache.get({ key: "a" }), { code: "unavailable", message: /did not answer in time/ });
    assert.ok(performance.now() - start < 10_000);
    proxy.hang(false);
    await recovers(cache);
  });

  test("RedisCache.close() during calls ends them, and is complete", async (cache) => {
    const ended = Promise.allSettled(Array.from({ length: 100 }, () => cache.get({ key: "a" })));
    await cache.close();
    await cache.close();
    for (const call of await ended) {
      if (call.status === "rejected") assert.match(String(call.reason), /has been closed/);
    }
    await assert.rejects(cache.get({ key: "a" }), { code: "unavailable", message: /has been closed/ });
  });
}

/** Asks until an answer comes, soon on any machine. */
async function recovers(cache: RedisCache): Promise<void> {
  await until(() => cache.get({ key: "a" }).then((found) => found === "1", () => false));
}
