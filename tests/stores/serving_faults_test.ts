import assert from "node:assert/strict";
import { ALL_SETTINGS, type Fared, faultsOf, PARTS } from "../fixtures/faults.ts";
import { nightlyRun, SAMPLE, withFlow } from "../fixtures/flow.ts";
import { freshServers, missingServers, ON_PGVECTOR, SERVERS } from "../fixtures/servers.ts";

/** Eight times the default, so that a busy machine is not taken for a fault. `deno task bench serving_faults` keeps to it. */
const ANSWER_MS = 2_000;
/** The circuit opens after five failures; the next request finds it open. */
const REQUESTS = 6;

for (
  const { where, settings, servers, disturbed } of [
    { where: "any one server", settings: ALL_SETTINGS, servers: SERVERS, disturbed: ALL_SETTINGS },
    {
      where: "one store of those on PostgreSQL",
      settings: ALL_SETTINGS.filter((setting) => setting !== "PARLEY_CACHE"),
      servers: ON_PGVECTOR,
      disturbed: ["PARLEY_DOCUMENTS", "PARLEY_GRAPH"],
    },
  ] as const
) {
  const missing = missingServers(settings, servers);
  Deno.test({
    name: `answers continue while ${where} hangs, is slow, errs, is down or loses its connections${
      missing.length > 0 ? `: ${missing.join(", ")} not set` : ""
    }`,
    ignore: missing.length > 0,
    async fn() {
      const { env, drop } = freshServers(settings, servers);
      try {
        await withFlow(async (flow) => {
          assert.equal((await nightlyRun(flow, SAMPLE)).outcome, "success");
        }, env);
        for (const setting of disturbed) {
          const fared = await faultsOf({ setting, env, requests: REQUESTS, answer_ms: ANSWER_MS });
          fared.forEach(assertFared);
        }
      } finally {
        await drop();
      }
    },
  });
}

function assertFared({ setting, fault, times, fewest, degraded, back_ms }: Fared): void {
  const slowest = Math.max(...times);
  const what = `${setting} ${fault}: 200, slowest ${slowest.toFixed(0)} ms, degraded [${degraded}], ` +
    `whole again after ${back_ms.toFixed(0)} ms`;
  console.log(what);
  const part = PARTS[setting];
  const missed = part === null ? [] : [part];
  if (EXACT.has(fault)) assert.deepEqual(degraded, missed, what);
  else if (fault === "answers errors") assert.ok(missed.every((one) => degraded.includes(one)), what);
  assert.ok(slowest < 2 * ANSWER_MS, what);
  assert.ok(fewest > 0, `${what}: no answer is empty`);
}

/** A lost connection may be replaced within the budget; constant reconnects slow the others down too. */
const EXACT = new Set(["hangs", "is 2 s late", "is down"]);
