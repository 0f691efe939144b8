import assert from "node:assert/strict";
import { iso } from "../../../lib/core/clock.ts";
import { oosAnomalies, oosShares } from "../../../lib/monitoring/oos_share.ts";
import type { ServingSpan } from "../../../lib/core/types.ts";
import { servingAnomalies, SPAN_MINUTES } from "../../../lib/monitoring/serving_anomalies.ts";
import { NIGHT, seeded } from "../../fixtures/monitoring.ts";

const random = seeded(11);
const SPAN_MS = SPAN_MINUTES * 60_000;
/** Two hours in which nothing is wrong. */
const SPANS: readonly ServingSpan[] = Array.from({ length: 24 }, (_, i) => ({
  at: iso(NIGHT + i * SPAN_MS),
  requests: 900 + Math.round(200 * random()),
  errors: Math.round(2 * random()),
  hits: 500 + Math.round(40 * random()),
  degraded: 0,
  p50_ms: 6,
  p95_ms: 12 + 4 * random(),
  hit_p95_ms: 1 + random(),
  made_p95_ms: 12 + 4 * random(),
}));
/** Changes the spans from one on, the last one by default. */
const changed = (change: Partial<ServingSpan>, from = -1, to = SPANS.length) =>
  SPANS.map((span, i) => i >= (from + SPANS.length) % SPANS.length && i < to ? { ...span, ...change } : span);
const found = (spans: readonly ServingSpan[], published: string | null = null) =>
  servingAnomalies(spans, published).open.map(({ code, severity }) => `${severity} ${code}`);

Deno.test("servingAnomalies() says nothing of spans like the others, and of none", () => {
  assert.deepEqual(servingAnomalies(SPANS, null), { open: [], past: [] });
  assert.deepEqual(servingAnomalies([], null), { open: [], past: [] });
});

Deno.test("servingAnomalies() reports errors, by how many there are", () => {
  assert.deepEqual(found(changed({ errors: 25 })), ["warning api_errors"]);
  assert.deepEqual(found(changed({ errors: 400 })), ["critical api_errors"]);
  assert.deepEqual(found([{ ...SPANS[0]!, errors: 450 }]), ["critical api_errors"], "even in the first span");
});

Deno.test("servingAnomalies() reports degraded answers, however many, as a warning", () => {
  assert.deepEqual(found(changed({ degraded: 900 })), ["warning api_degraded"]);
  assert.deepEqual(found(changed({ degraded: 5 })), [], "a few do not count");
});

Deno.test("servingAnomalies() reports the beginning of a lasting anomaly, and the end of a past one", () => {
  const { open: [lasting] } = servingAnomalies(changed({ errors: 400 }, 20), null);
  assert.deepEqual([lasting?.since, lasting?.until], [SPANS[20]!.at, undefined]);
  const begun = { ...SPANS[23]!, requests: 5, errors: 0 };
  const before = changed({ errors: 400 }, 20).with(-1, begun);
  assert.deepEqual(found(before), ["critical api_errors"], "five requests do not end it");
  const over = changed({ errors: 100 }, 15, 18).map((span, i) => i === 16 ? { ...span, errors: 400 } : span);
  const { open, past } = servingAnomalies(over, null);
  assert.deepEqual(open, []);
  assert.deepEqual(past.map(({ code, since, until }) => [code, since, until]), [
    ["api_errors", SPANS[15]!.at, SPANS[18]!.at],
  ]);
  assert.equal(past[0]!.figure, 400 / SPANS[16]!.requests, "as it was at its worst");
});

Deno.test("servingAnomalies() reports a cache that has fewer hits for a while, but not right after a publish", () => {
  const { open: [low, ...others] } = servingAnomalies(changed({ hits: 100 }, 21), null);
  assert.deepEqual(others, []);
  assert.deepEqual([low?.code, low?.since], ["cache_hits_low", SPANS[21]!.at]);
  assert.deepEqual(found(changed({ hits: 100 }, 22)), [], "ten minutes prove nothing");
  assert.deepEqual(found(changed({ hits: 100 }, 21), iso(Date.parse(SPANS[20]!.at) + 60_000)), []);
  const hour = iso(Date.parse(SPANS.at(-1)!.at) - 60 * 60_000);
  assert.deepEqual(
    found(changed({ hits: 100 }, 21), hour),
    ["warning cache_hits_low"],
    "an hour later it is odd",
  );
});

Deno.test("servingAnomalies() reports that answers take longer, not that fewer come from the cache", () => {
  assert.deepEqual(found(changed({ made_p95_ms: 180 })), ["warning api_slow"]);
  assert.deepEqual(found(changed({ made_p95_ms: 180 }), SPANS.at(-2)!.at), [], "right after a publish");
  assert.deepEqual(found(changed({ hit_p95_ms: 40 })), ["warning api_slow"], "of those from the cache too");
  assert.deepEqual(found(changed({ made_p95_ms: 28 })), [], "which 15 ms more are not");
  assert.deepEqual(
    found(changed({ hits: 10, p95_ms: 180 })),
    [],
    "after a publish all take as long as others did",
  );
});

Deno.test("servingAnomalies() does not judge by a handful of requests", () => {
  assert.deepEqual(found(changed({ requests: 10, errors: 10, hits: 0, made_p95_ms: 900 })), []);
  assert.deepEqual(found(changed({ requests: 60, hits: 50, made_p95_ms: 900 })), [], "nor of one kind");
});

Deno.test("outOfScopeAnomalies() reports that people talk, or talked, about something else", () => {
  const share = (i: number, out_of_scope: number) => ({
    run_id: `r${i}`,
    at: iso(NIGHT + i),
    messages: 1_000,
    out_of_scope,
  });
  const usual = Array.from({ length: 12 }, (_, i) => share(i, 90 + i));
  assert.deepEqual(oosAnomalies([...usual, share(12, 100)]), { open: [], past: [] });
  const { open: [one] } = oosAnomalies([...usual, share(12, 300)]);
  assert.deepEqual([one?.code, one?.figure, one?.run_id], ["out_of_scope", 0.3, "r12"]);
  const { open, past } = oosAnomalies([...usual, share(12, 300), share(13, 100)]);
  assert.deepEqual([open, past[0]?.until], [[], iso(NIGHT + 13)]);
  assert.deepEqual(oosAnomalies([]), { open: [], past: [] });
});

Deno.test("scopeShares() compares runs of the newest classifier alone, and those that classified something", async () => {
  const outputs = [
    { classifier: "new", classified: 80, out_of_scope: 8, changed: 0, waiting: 0 },
    { classifier: "new", classified: 0, out_of_scope: 0, changed: 0, waiting: 0 },
    { classifier: null, classified: 0, out_of_scope: 0 },
    null,
    { classifier: "new", classified: 60, out_of_scope: 3, changed: 0, waiting: 0 },
    { classifier: "old", classified: 70, out_of_scope: 40, changed: 0, waiting: 0 },
  ].map((output, n) => ({
    run_id: `r${n}`,
    created_at: iso(NIGHT - n),
    ended_at: null,
    state: "success" as const,
    output,
  }));
  const runs = { outputs: () => Promise.resolve(outputs) };
  const dag = { id: "d", tasks: [{ id: "label", role: "classify" }] };
  assert.deepEqual(await oosShares(runs, dag, iso(0)), [
    { run_id: "r4", at: iso(NIGHT - 4), messages: 60, out_of_scope: 3 },
    { run_id: "r0", at: iso(NIGHT), messages: 80, out_of_scope: 8 },
  ]);
  assert.deepEqual(await oosShares(runs, { id: "d", tasks: [{ id: "classify" }] }, iso(0)), []);
});
