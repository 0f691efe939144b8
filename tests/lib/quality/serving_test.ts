import assert from "node:assert/strict";
import { iso } from "../../../lib/core/clock.ts";
import { outOfScopeAnomalies, scopeShares } from "../../../lib/quality/scope.ts";
import type { ServingMinute } from "../../../lib/core/types.ts";
import { servingAnomalies } from "../../../lib/quality/serving.ts";
import { NIGHT, seeded } from "../../fixtures/quality.ts";

const random = seeded(11);
const WINDOWS: readonly ServingMinute[] = Array.from({ length: 30 }, (_, i) => ({
  at: iso(NIGHT + i * 60_000),
  requests: 900 + Math.round(200 * random()),
  errors: Math.round(2 * random()),
  hits: 500 + Math.round(40 * random()),
  degraded: 0,
  p50_ms: 6,
  p95_ms: 12 + 4 * random(),
}));
const codes = (last: Partial<ServingMinute>) =>
  servingAnomalies(WINDOWS.with(-1, { ...WINDOWS.at(-1)!, ...last })).map(({ code, severity }) =>
    `${severity} ${code}`
  );

Deno.test("servingAnomalies() says nothing of windows like the others, and of none", () => {
  assert.deepEqual(codes({}), []);
  assert.deepEqual(servingAnomalies([]), []);
});

Deno.test("servingAnomalies() tells errors, by how many there are", () => {
  assert.deepEqual(codes({ errors: 25 }), ["warning api_errors"]);
  assert.deepEqual(codes({ errors: 400 }), ["critical api_errors"]);
  const first = { at: iso(NIGHT), requests: 100, errors: 50, hits: 0, degraded: 0, p50_ms: 2, p95_ms: 5 };
  assert.deepEqual(
    servingAnomalies([first]).map(({ code }) => code),
    ["api_errors"],
    "even in the first window",
  );
});

Deno.test("servingAnomalies() tells a cache that gives less, and answers that take longer", () => {
  const low = WINDOWS.map((window, i) => i < 25 ? window : { ...window, hits: 100 });
  const [found, ...others] = servingAnomalies(low);
  assert.deepEqual(others, []);
  assert.deepEqual([found?.code, found?.since], ["cache_hits_low", WINDOWS[25]!.at]);
  assert.deepEqual(codes({ hits: 100 }), [], "which a publish does for a while");
  assert.deepEqual(codes({ p95_ms: 180 }), ["warning api_slow"]);
  assert.deepEqual(codes({ p95_ms: 28 }), [], "which 15 ms more are not");
});

Deno.test("servingAnomalies() does not judge by a handful of requests", () => {
  assert.deepEqual(codes({ requests: 10, errors: 10, hits: 0, p95_ms: 900 }), []);
});

Deno.test("outOfScopeAnomalies() tells that people talk about something else", () => {
  const share = (i: number, out_of_scope: number) => ({
    run_id: `r${i}`,
    at: iso(NIGHT + i),
    messages: 1_000,
    out_of_scope,
  });
  const usual = Array.from({ length: 12 }, (_, i) => share(i, 90 + i));
  assert.deepEqual(outOfScopeAnomalies([...usual, share(12, 100)]), []);
  const [found] = outOfScopeAnomalies([...usual, share(12, 300)]);
  assert.deepEqual([found?.code, found?.figure, found?.run_id], ["out_of_scope", 0.3, "r12"]);
  assert.deepEqual(outOfScopeAnomalies([]), []);
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
  const dag = { id: "d", tasks: [{ id: "classify" }] };
  assert.deepEqual(await scopeShares(runs, dag, iso(0)), [
    { run_id: "r4", at: iso(NIGHT - 4), messages: 60, out_of_scope: 3 },
    { run_id: "r0", at: iso(NIGHT), messages: 80, out_of_scope: 8 },
  ]);
  assert.deepEqual(await scopeShares(runs, { id: "d", tasks: [{ id: "other" }] }, iso(0)), []);
});
