import assert from "node:assert/strict";
import { backoff, retryAfter } from "../../../lib/core/backoff.ts";

const most = () => 1 - Number.EPSILON;

Deno.test("backoff() doubles its bound with each try, up to the cap", () => {
  const bounds = [1, 2, 3, 4, 5, 50].map((tries) =>
    backoff({ tries, base_ms: 100, cap_ms: 1_000, random: most })
  );
  assert.deepEqual(bounds, [99, 199, 399, 799, 999, 999]);
});

Deno.test("backoff() spreads over the whole of its bound", () => {
  const waits = Array.from(
    { length: 1_000 },
    (_, i) => backoff({ tries: 3, base_ms: 100, random: () => i / 1_000 }),
  );
  assert.equal(Math.min(...waits), 0);
  assert.equal(Math.max(...waits), 399);
  assert.equal(new Set(waits).size, 400);
});

Deno.test("backoff() waits 1 s at first and 5 min at last by default", () => {
  assert.equal(backoff({ tries: 1, random: most }), 999);
  assert.equal(backoff({ tries: 30, random: most }), 299_999);
});

Deno.test("retryAfter() reads seconds as number and text, and an HTTP date", () => {
  const now = Date.parse("2026-10-21T07:28:00Z");
  assert.equal(retryAfter({ retry_after: 2.5 }, now), 2_500);
  assert.equal(retryAfter({ retry_after: "120" }, now), 120_000);
  assert.equal(retryAfter({ retry_after: "Wed, 21 Oct 2026 07:28:30 GMT" }, now), 30_000);
});

Deno.test("retryAfter() takes a time that has passed for no wait", () => {
  const now = Date.parse("2026-10-21T07:28:00Z");
  assert.equal(retryAfter({ retry_after: "Wed, 21 Oct 2026 07:00:00 GMT" }, now), 0);
  assert.equal(retryAfter({ retry_after: -5 }, now), 0);
});

Deno.test("retryAfter() is null if there is nothing to read", () => {
  for (const error of [null, "text", new Error("x"), { retry_after: "soon" }, { retry_after: NaN }]) {
    assert.equal(retryAfter(error, 0), null);
  }
});
