import assert from "node:assert/strict";
import { RedisCache } from "../../lib/stores/cache/redis/redis_cache.ts";
import { RateLimiter } from "../../routes/http/rate_limiter.ts";
import { proxied } from "../fixtures/tcp_proxy.ts";

const SERVER = Deno.env.get("PARLEY_TEST_REDIS");
const REFUSED = { name: "HttpError", status: 429 };
/** The library has a timer for each key, which keeps no process alive. */
const TIMERS = { sanitizeOps: false, sanitizeResources: false };

if (SERVER === undefined) {
  Deno.test({
    name: "RateLimiter: PARLEY_TEST_REDIS, the URL of a Redis, is not set",
    ignore: true,
    fn() {},
  });
} else {
  const ownNamespace = () => {
    const url = new URL(SERVER);
    url.searchParams.set("namespace", `parley-test-${crypto.randomUUID()}`);
    return url;
  };

  Deno.test("RateLimiter: processes on one Redis count together, each key for itself", TIMERS, async () => {
    const url = ownNamespace();
    const caches = [new RedisCache({ url }), new RedisCache({ url })];
    try {
      const [one, other] = caches.map((cache) => new RateLimiter({ per_minute: 3, cache }));
      assert.equal((await one!.count("a"))["ratelimit-remaining"], "2");
      assert.equal((await other!.count("a"))["ratelimit-remaining"], "1");
      assert.equal((await other!.count("b"))["ratelimit-remaining"], "2");
      const last = await one!.count("a");
      assert.equal(last["ratelimit-remaining"], "0");
      assert.ok(Number(last["ratelimit-reset"]) > 50 && Number(last["ratelimit-reset"]) <= 60);
      await assert.rejects(other!.count("a"), REFUSED);
    } finally {
      await caches[0]!.clear();
      for (const cache of caches) await cache.close();
    }
  });

  for (const outage of ["hangs", "is down"]) {
    Deno.test(
      `RateLimiter: while Redis ${outage}, requests are counted by the process alone`,
      TIMERS,
      async () => {
        const { url, proxy } = proxied(ownNamespace(), 6_379);
        const cache = new RedisCache({ url });
        try {
          const limiter = new RateLimiter({ per_minute: 2, cache });
          assert.equal((await limiter.count("a"))["ratelimit-remaining"], "1");
          if (outage === "hangs") proxy.hang(true);
          else proxy.down();
          for (const left of ["1", "0"]) {
            assert.equal((await limiter.count("a"))["ratelimit-remaining"], left);
          }
          await assert.rejects(limiter.count("a"), REFUSED);
        } finally {
          await cache.close();
          if (outage === "is down") await proxy.up();
          await proxy.close();
        }
      },
    );
  }
}
