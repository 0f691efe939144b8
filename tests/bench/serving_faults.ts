/**
 * Answers while one server fails, store by store and fault by fault, at the default time budget. Needs the servers that
 * PARLEY_TEST_… name.
 *
 *     deno run --allow-all tests/bench/serving_faults.ts
 */
import { ANSWER_MS } from "../../lib/recommend/store_policy.ts";
import { ALL_SETTINGS, type Fared, faultsOf } from "../fixtures/faults.ts";
import { nightlyRun, SAMPLE, withFlow } from "../fixtures/flow.ts";
import { freshServers, missingServers } from "../fixtures/servers.ts";

const REQUESTS = 40;

function print({ setting, fault, times, degraded, back_ms }: Fared): void {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number) => `${sorted[Math.floor(share * (sorted.length - 1))]!.toFixed(0)} ms`;
  const cells = [setting, fault, "200", at(0.5), at(0.95), at(1), degraded.join(", ") || "nothing"];
  console.log(`| ${[...cells, `${(back_ms / 1_000).toFixed(1)} s`].join(" | ")} |`);
}

const missing = missingServers(ALL_SETTINGS);
if (missing.length > 0) {
  console.log(`nothing measured: ${missing.join(", ")} not set`);
  Deno.exit(0);
}
const { env, drop } = freshServers(ALL_SETTINGS);
try {
  await withFlow(async (flow) => void await nightlyRun(flow, SAMPLE), env);
  console.log("| store | fault | status | p50 | p95 | slowest | degraded | whole again after |");
  console.log("| ----- | ----- | ------ | --- | --- | ------- | -------- | ----------------- |");
  for (const setting of ALL_SETTINGS) {
    const fared = await faultsOf({ setting, env, requests: REQUESTS, answer_ms: ANSWER_MS });
    fared.forEach(print);
  }
} finally {
  await drop();
}
