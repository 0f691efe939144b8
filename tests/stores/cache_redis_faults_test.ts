/** What a Redis can do to its client, from servers that misbehave: needs no Redis. */
import assert from "node:assert/strict";
import { RedisCache } from "../../lib/stores/cache/redis/redis_cache.ts";

/** A server that answers each command by its name with a line; empty is silence. */
function fake(answer: (command: string) => string) {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const sockets = new Set<Deno.Conn>();
  let connections = 0;
  const serve = async (socket: Deno.Conn) => {
    const bytes = new Uint8Array(65_536);
    for (let size = await socket.read(bytes); size !== null; size = await socket.read(bytes)) {
      const text = new TextDecoder().decode(bytes.subarray(0, size));
      const commands = [...text.matchAll(/\*\d+\r\n\$\d+\r\n(\w+)/g)].map(([, name]) => name!.toLowerCase());
      const answers = commands.map(answer).filter((line) => line !== "").map((line) => `${line}\r\n`);
      await socket.write(new TextEncoder().encode(answers.join("")));
    }
    socket.close();
  };
  const served = (async () => {
    for await (const socket of listener) {
      connections++;
      sockets.add(socket);
      serve(socket).catch(() => {}).finally(() => sockets.delete(socket));
    }
  })();
  return {
    url: new URL(`redis://127.0.0.1:${listener.addr.port}`),
    connections: () => connections,
    async close() {
      listener.close();
      for (const socket of sockets) socket.close();
      await served;
    },
  };
}

const set = (cache: RedisCache) => cache.set({ key: "a", value: "the answer", ttl_ms: 60_000 });

async function failsOf(answer: (command: string) => string, code: string, message: RegExp): Promise<void> {
  const server = fake(answer);
  const cache = new RedisCache({ url: server.url, call_ms: 2_000 });
  const error = await set(cache).then(() => assert.fail("it was set"), (error) => error);
  assert.equal(error.code, code, error.message);
  assert.match(error.message, message);
  assert.ok(!Deno.inspect(error, { depth: 20, showHidden: true }).includes("the answer"));
  await cache.close();
  await server.close();
}

const toSet = (line: string) => (command: string) => command === "set" ? line : "+OK";

Deno.test("RedisCache says that the server is full", () =>
  failsOf(toSet("-OOM command not allowed when used memory > 'maxmemory'."), "unavailable", /allkeys-lru/));

Deno.test("RedisCache says that the server is loading", () =>
  failsOf(toSet("-LOADING Redis is loading the dataset in memory"), "unavailable", /still loading/));

Deno.test("RedisCache says that its user may not", () =>
  failsOf(toSet("-NOPERM this user has no permissions"), "denied", /extend the user's ACL/));

Deno.test("RedisCache reports only the kind of any other refusal, never the text that was sent", () =>
  failsOf(toSet("-MISCONF cannot take 'the answer'"), "unavailable", /refused a command with MISCONF$/));

Deno.test("RedisCache says that a server did not answer", () =>
  failsOf(() => "", "unavailable", /did not answer in time$/));

Deno.test("RedisCache says that a server requires TLS", () =>
  failsOf(() => "\x15\x03\x01\x00\x02\x02\x46", "unavailable", /for TLS write rediss:\/\//));

Deno.test("RedisCache reconnects once the primary has become a replica", async () => {
  const server = fake(toSet("-READONLY You can't write against a read only replica."));
  const cache = new RedisCache({ url: server.url, call_ms: 2_000 });
  for (let tries = 0; tries < 2; tries++) {
    await assert.rejects(set(cache), { code: "unavailable", message: /is a replica/ });
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.equal(server.connections(), 2);
  await cache.close();
  await server.close();
});

Deno.test("RedisCache whose server is dead fails at once, and asks again after half a second", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const cache = new RedisCache({ url: new URL(`redis://127.0.0.1:${port}`) });
  const start = performance.now();
  for (let tries = 0; tries < 1_000; tries++) {
    await assert.rejects(set(cache), {
      code: "unavailable",
      message: /refused the connection: is it running/,
    });
  }
  assert.ok(performance.now() - start < 5_000);
  await cache.close();
});

Deno.test("RedisCache says that the host has no address", async () => {
  const cache = new RedisCache({ url: new URL("redis://nowhere.invalid") });
  await assert.rejects(set(cache), {
    code: "unavailable",
    message: /^Redis at nowhere\.invalid cannot be found/,
  });
  await cache.close();
});

Deno.test("RedisCache refuses a URL that it cannot use, without showing it", () => {
  for (const rest of ["host/name", "host/0?keyPrefix=x", ""]) {
    const url = new URL(`redis://:swordfish@${rest}`.replace("@", rest === "" ? "@host/x" : "@"));
    assert.throws(() => new RedisCache({ url }), (error: Error & { code: string }) => {
      assert.equal(error.code, "invalid");
      assert.match(error.message, /^PARLEY_CACHE is no URL of a Redis/);
      return !error.message.includes("swordfish");
    });
  }
});

Deno.test("RedisCache that was never used closes, and while it connects too", async () => {
  await new RedisCache({ url: new URL("redis://127.0.0.1:1") }).close();
  const server = fake(() => "");
  const cache = new RedisCache({ url: server.url });
  const call = assert.rejects(set(cache), { code: "unavailable", message: /has been closed/ });
  await new Promise((resolve) => setTimeout(resolve, 100));
  const start = performance.now();
  await cache.close();
  await call;
  assert.ok(performance.now() - start < 10_000);
  await server.close();
});
