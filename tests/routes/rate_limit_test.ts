import assert from "node:assert/strict";
import { ParleyError } from "../../lib/core/errors.ts";
import { RateLimiter } from "../../routes/http/rate_limiter.ts";
import { appTest } from "./app.ts";

const ONE = "a-read-key-of-32-characters-xxxx";
const OTHER = "another-key-of-32-characters-xxx";
const scopes = ["read" as const];
const keys = [{ key: ONE, scopes }, { key: OTHER, scopes }];
const by = (key: string) => ({ headers: { authorization: `Bearer ${key}` } });
const limits = ({ headers }: Response) =>
  ["limit", "remaining", "reset"].map((name) => headers.get(`ratelimit-${name}`));

appTest(
  "a key that has used up its requests is answered 429, and others are not",
  async ({ app, world, log }) => {
    const path = "/recommendations/ann";
    const first = await app.request(path, by(ONE));
    assert.deepEqual([first.status, limits(first)], [200, ["2", "1", "60"]]);
    // Also what fails counts, whatever the endpoint.
    const failed = await app.request("/pipeline/runs/none", by(ONE));
    assert.deepEqual([failed.status, limits(failed).slice(0, 2)], [404, ["2", "0"]]);
    const refused = await app.request(path, by(ONE));
    assert.equal(refused.status, 429);
    const { code, detail } = await refused.json();
    assert.deepEqual([code, detail], ["rate_limited", "more than 2 requests in a minute"]);
    const retry = Number(refused.headers.get("retry-after"));
    assert.ok(retry > 0 && retry <= 60);
    assert.deepEqual(limits(refused), ["2", "0", `${retry}`]);
    assert.equal((await app.request(path, by(OTHER))).status, 200);
    assert.doesNotMatch(JSON.stringify(log), new RegExp(`${ONE}|${OTHER}|/ann`));
    assert.deepEqual(await world.stores.runs.auditEntries({ limit: 9 }), []);
  },
  { sanitizeOps: false, options: () => ({ keys, rate_limit: 2 }) },
);

appTest("requests that need no key, or have none of this service, are not counted", async ({ app }) => {
  for (let n = 0; n < 3; n++) {
    const health = await app.request("/healthz");
    assert.deepEqual([health.status, limits(health)], [200, [null, null, null]]);
    assert.equal((await app.request("/recommendations/ann")).status, 401);
  }
  assert.equal((await app.request("/recommendations/ann", by(ONE))).status, 200);
}, { sanitizeOps: false, options: () => ({ keys, rate_limit: 1 }) });

appTest("without a limit, answers have no headers of one", async ({ app }) => {
  assert.deepEqual(limits(await app.request("/recommendations/ann")), [null, null, null]);
});

appTest("without keys, all requests count together", async ({ app }) => {
  assert.equal((await app.request("/recommendations/ann")).status, 200);
  assert.equal((await app.request("/popular")).status, 429);
}, { sanitizeOps: false, options: () => ({ rate_limit: 1 }) });

Deno.test({
  name: "while the shared count fails or hangs, requests are counted by the process alone",
  sanitizeOps: false,
  sanitizeResources: false,
}, async () => {
  const never = Promise.withResolvers<unknown>();
  for (const outage of [() => Promise.reject(new ParleyError("unavailable", "down")), () => never.promise]) {
    let calls = 0;
    const evaluate = () => {
      calls++;
      return outage();
    };
    const limiter = new RateLimiter({ per_minute: 10, cache: { evaluate } });
    for (let left = 9; left >= 0; left--) {
      assert.equal((await limiter.count("a"))["ratelimit-remaining"], `${left}`);
    }
    await assert.rejects(limiter.count("a"), { name: "HttpError", status: 429 });
    assert.equal(calls, 3, "the breaker opens");
  }
});
