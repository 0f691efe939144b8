/**
 * What arms and exploration cost an answer: the same requests to the sample's users, by services that differ in their settings alone,
 * in turns and in one process. CPU time for each answer, as the median of rounds, since the cores may be busy.
 */
import process from "node:process";
import { openServing } from "../../commands/services.ts";
import { loadConfig } from "../../lib/config.ts";
import { systemClock } from "../../lib/core/clock.ts";
import { Arms, type ArmSplit } from "../../lib/recommend/arms.ts";
import { Recommender } from "../../lib/recommend/recommender.ts";
import type { Cache } from "../../lib/stores/cache/port.ts";
import { MemoryCache } from "../../lib/stores/cache/memory/memory_cache.ts";
import { nightlyRun, ROOT, SAMPLE, withStores } from "../fixtures/flow.ts";

const ROUNDS = 21;
const REQUESTS = { uncached: 60, cached: 3_000 };
const K = 10;

const EXPERIMENT: ArmSplit = {
  id: "bench",
  starts_at: null,
  ends_at: null,
  share: 1,
  arms: [{ name: "bench/as-is" }, { name: "bench/same" }],
};
/** Beyond the first, each has one thing more than plain. */
const SERVICES = {
  "plain": {},
  "control share of 2 %": { arms: new Arms({ control_share: 0.02 }) },
  "all users in an experiment": { arms: new Arms({ control_share: 0, splits: [EXPERIMENT] }) },
  "exploration of 10 %": { exploration: 0.1 },
} as const;

const NO_CACHE: Pick<Cache, "get" | "set" | "tryLock"> = {
  get: () => Promise.resolve(null),
  set: () => Promise.resolve(),
  tryLock: () => Promise.resolve(true),
};

const folder = await Deno.makeTempDir({ prefix: "parley-arms-" });
try {
  const config = loadConfig({ PARLEY_DATA: folder, PARLEY_EMBEDDINGS: "test:384" }, ROOT.slice(0, -1));
  const users = await withStores(config, async (flow) => {
    await nightlyRun(flow, SAMPLE);
    return await flow.services.analytics.users({ after: null, limit: 1_000 });
  });
  const { value: stores, close } = await openServing(config);
  const secret = await stores.analytics.secret();
  const open = (options: typeof SERVICES[keyof typeof SERVICES], cache: typeof NO_CACHE) =>
    new Recommender({
      stores: { ...stores, cache },
      clock: systemClock,
      answer_ms: 10_000,
      secret: () => Promise.resolve(secret),
      ...options,
    });
  const services = Object.entries(SERVICES).map(([name, options]) => ({
    name,
    uncached: open(options, NO_CACHE),
    cached: open(options, new MemoryCache({ max_bytes: 64_000_000 })),
  }));
  console.log(
    `${users.length} users, ${ROUNDS} rounds of ${REQUESTS.uncached} and ${REQUESTS.cached} answers\n`,
  );
  for (const kind of ["uncached", "cached"] as const) {
    const times = services.map(() => [] as number[]);
    // The first round loads what all others find in memory.
    for (let round = -1; round < ROUNDS; round++) {
      for (let turn = 0; turn < services.length; turn++) {
        const which = (turn + round + services.length) % services.length;
        const recommender = services[which]![kind];
        const before = process.cpuUsage();
        for (let n = 0; n < REQUESTS[kind]; n++) {
          await recommender.serve({ user_id: users[n % users.length]!, k: K });
        }
        const { user, system } = process.cpuUsage(before);
        if (round >= 0) times[which]!.push((user + system) / REQUESTS[kind]);
      }
    }
    console.log(`| ${kind}, CPU per answer | median | quartiles |\n| --- | --- | --- |`);
    for (const [i, { name }] of services.entries()) {
      const sorted = times[i]!.toSorted((a, b) => a - b);
      const at = (share: number) => `${Math.round(sorted[Math.floor(share * (sorted.length - 1))]!)} µs`;
      console.log(`| ${name} | ${at(0.5)} | ${at(0.25)} – ${at(0.75)} |`);
    }
    console.log("");
  }
  await close();
} finally {
  await Deno.remove(folder, { recursive: true });
}
