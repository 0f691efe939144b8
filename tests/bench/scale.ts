/**
 * What evidence costs with 100,000 users: the steps of the nightly run that make it, loading it, and answers. The world is made up
 * (tests/bench/lib/scale_world.ts) and put into embedded stores through their ports. Each step is a process of its own; peak memory and
 * written bytes are the kernel's (Linux).
 *
 * It takes half an hour on two busy cores, and 2 GB of disk.
 *
 *     deno task bench scale
 *     deno run --allow-all tests/bench/scale.ts FOLDER [STEP...]     keeps the world in FOLDER
 */
import { openServices, openServing } from "../../commands/services.ts";
import { loadConfig } from "../../lib/config.ts";
import { systemClock } from "../../lib/core/clock.ts";
import { countWords, type WordCounts } from "../../lib/core/text.ts";
import { modelKey } from "../../lib/core/types.ts";
import { ANSWER_MS } from "../../lib/recommend/store_policy.ts";
import { VersionData } from "../../lib/recommend/version_data.ts";
import { MemoryCache } from "../../lib/stores/cache/memory/memory_cache.ts";
import { createApp } from "../../routes/app.ts";
import { addDerived, NOTHING_DERIVED } from "../../lib/derive/derive_users.ts";
import { deriveInBulk, deriveOptions } from "../../tasks/steps/conversations.ts";
import type { VersionFile } from "../../lib/stores/analytics/port.ts";
import { RANKER_FILE } from "../../lib/recommend/ranker_file.ts";
import { learn } from "../../tasks/steps/learn/learn.ts";
import { saveItemWeights } from "../../tasks/steps/item_weights.ts";
import { saveWording } from "../../tasks/steps/wording.ts";
import { contextOf } from "../fixtures/context.ts";
import { random } from "../fixtures/rows.ts";
import { fillWorld, userId, wordsLikeTheirs, WORLD } from "./lib/scale_world.ts";

const VERSION = 1;
/** Lengths of texts that postings are asked with, in words. */
const QUESTIONS = [5, 20, 60, 300];
const TIMES = 1_000;

/** In the order in which they build the world. Each returns what there is to say about it. */
const STEPS: Record<string, (services: Services, folder: string) => Promise<string>> = {
  fill: fillWorld,
  conversations: async (services) => {
    const { context } = contextOf({ services });
    const embedder = await services.embedder();
    const store = await services.vectors.forModel({ model: embedder.model });
    const options = await deriveOptions(context, { store, embedder });
    let done = NOTHING_DERIVED;
    const all = Array.from({ length: WORLD.users }, (_, at) => userId(at));
    for await (const { counts } of deriveInBulk(services, options, all)) {
      done = addDerived(done, counts);
    }
    return `${done.conversations} conversations, ${done.edges} edges`;
  },
  item_weights: async ({ analytics }) => {
    const { users, campaigns, rows, bytes } = await saveItemWeights(analytics, { version: VERSION });
    return `${rows} weights of ${campaigns} campaigns from ${users} users; file ${megabytes(bytes)}`;
  },
  wording: async ({ analytics }) => {
    const { conversations, rows, bytes } = await saveWording(analytics, { version: VERSION });
    return `${rows} words of ${conversations} conversations; file ${megabytes(bytes)}`;
  },
  indexes: async ({ analytics, vectors, embedder }) => {
    const { model } = await embedder();
    await analytics.buildStats({ version: VERSION, half_life_days: 365, latest: new Date().toISOString() });
    const { conversations } = await (await vectors.forModel({ model })).build({ version: VERSION });
    return `popularity, and indexes of ${conversations} conversations and as many profiles`;
  },
  learn: async (services) => {
    const { model } = await services.embedder();
    const store = await services.vectors.forModel({ model });
    const { outcome, queries, difference } = await learn(contextOf({ services }).context, store, VERSION);
    return `${outcome}; ${JSON.stringify(queries)}, ${JSON.stringify(difference)}`;
  },
  publish: async ({ analytics, embedder }) => {
    const { model } = await embedder();
    const at = new Date().toISOString();
    const published = { version: VERSION, run_id: "bench", model: modelKey(model), at };
    await analytics.publish({ published, sources: [] });
    return `version ${VERSION}`;
  },
  load: async ({ analytics }) => {
    const before = held();
    const loads = [];
    let data: VersionData;
    // Other processes interrupt: the best of five counts.
    for (let i = 0; i < 5; i++) {
      data = new VersionData({ analytics, clock: systemClock, answer_ms: ANSWER_MS, warn: console.error });
      const start = performance.now();
      const longest = await longestBlock(() => data.load(VERSION));
      loads.push({ longest, ms: performance.now() - start });
    }
    const memory = megabytes(held() - before);
    const { items, wording } = await data!.load(VERSION);
    if (items === null || wording === null) throw new Error("files are missing");
    const best = (times: number[]) => `${Math.min(...times).toFixed(0)} ms`;
    const longest = best(loads.map(({ longest }) => longest));
    return `${best(loads.map(({ ms }) => ms))}, longest block ${longest}, ${memory} held`;
  },
  nearest: async ({ analytics }) => {
    const data = new VersionData({
      analytics,
      clock: systemClock,
      answer_ms: ANSWER_MS,
      warn: console.error,
    });
    const { wording } = await data.load(VERSION);
    const next = random(7);
    return QUESTIONS.map((length) => {
      const questions = Array.from({ length: TIMES }, () => countWords(wordsLikeTheirs(next, length)));
      const ask = (words: WordCounts) => void wording!.nearest(words, 100);
      for (const words of questions.slice(0, 100)) ask(words);
      const times = questions.map((words) => timed(() => ask(words)));
      return `${length} words: ${quantiles(times)} ms`;
    }).join("; ");
  },
  answers: async (_, folder) => {
    const { value: stores, close } = await openServing(configOf(folder));
    // The same stores, as if the version had no weights of its own.
    const file = (options: VersionFile) =>
      options.name === RANKER_FILE ? Promise.resolve(null) : stores.analytics.file(options);
    const analytics = Object.assign(Object.create(stores.analytics), { file });
    const fixed = { ...stores, analytics, cache: new MemoryCache({ max_bytes: 64e6 }) };
    const both = await Promise.all(
      [stores, fixed].map((stores) =>
        createApp({ stores, clock: systemClock, version: "bench", keys: [], log: null })
      ),
    );
    const times: number[][] = [[], []];
    const cpu = [0, 0];
    // In turns, so that other load is the same for both.
    for (let at = 0; at < 1.5 * TIMES; at++) {
      for (const which of at % 2 === 0 ? [0, 1] : [1, 0]) {
        const start = { ms: performance.now(), cpu: cpuMs() };
        const response = await both[which]!.request(
          `/recommendations/${userId(at * 37 % WORLD.users)}?k=10`,
        );
        await response.text();
        if (!response.ok) throw new Error(`expected 200 and got ${response.status}`);
        if (at < TIMES / 2) continue;
        times[which]!.push(performance.now() - start.ms);
        cpu[which]! += cpuMs() - start.cpu;
      }
    }
    await close();
    return ["the version's weights", "the fixed weights"].map((weights, which) =>
      `${weights}: uncached ${quantiles(times[which]!)} ms, CPU ${(cpu[which]! / TIMES).toFixed(2)} ms each`
    ).join("; ");
  },
};

type Services = Awaited<ReturnType<typeof openServices>>["value"];

function configOf(folder: string) {
  return loadConfig({ PARLEY_DATA: `${folder}/.parley`, PARLEY_EMBEDDINGS: "test:384" }, folder);
}

/** The longest time in milliseconds for which nothing else had its turn, while `work` ran. */
async function longestBlock(work: () => Promise<unknown>): Promise<number> {
  let [last, longest, isOver] = [performance.now(), 0, false];
  const look = () => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
    if (!isOver) setImmediate(look);
  };
  setImmediate(look);
  await work();
  look();
  isOver = true;
  return longest;
}

/** Bytes that JavaScript holds, arrays included. */
function held(): number {
  (globalThis as { gc?: () => void }).gc?.();
  const { heapUsed, external } = Deno.memoryUsage();
  return heapUsed + external;
}

/** Milliseconds, the shortest of three times, since other processes interrupt. */
function timed(work: () => void): number {
  const times = [1, 2, 3].map(() => {
    const start = performance.now();
    work();
    return performance.now() - start;
  });
  return Math.min(...times);
}

function quantiles(times: readonly number[]): string {
  const sorted = times.toSorted((a, b) => a - b);
  return ["p50", "p99"].map((name) => {
    const at = Math.floor(Number(name.slice(1)) / 100 * (sorted.length - 1));
    return `${name} ${sorted[at]!.toFixed(2)}`;
  }).join(", ");
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

/** CPU time of all threads of this process, in milliseconds; the kernel counts hundredths of a second. */
function cpuMs(): number {
  const fields = Deno.readTextFileSync("/proc/self/stat").split(") ")[1]!.split(" ");
  return 10 * (Number(fields[11]) + Number(fields[12]));
}

/** A number that the kernel keeps of this process. */
function ofProcess(file: "status" | "io", name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(Deno.readTextFileSync(`/proc/self/${file}`))![1]);
}

async function runStep(folder: string, name: string): Promise<void> {
  const start = performance.now();
  const { value, close } = await openServices(configOf(folder));
  const result = await STEPS[name]!(value, folder);
  await close();
  const costs = [
    `${((performance.now() - start) / 1_000).toFixed(1)} s, CPU ${(cpuMs() / 1_000).toFixed(1)} s`,
    `peak ${megabytes(1_024 * ofProcess("status", "VmHWM"))}`,
    `written ${megabytes(ofProcess("io", "write_bytes"))}`,
  ];
  console.log(`${name}: ${costs.join(", ")}: ${result}`);
}

async function runAll(folder: string, names: readonly string[]): Promise<void> {
  for (const name of names) {
    const args = ["run", "--quiet", "--allow-all", "--v8-flags=--expose-gc", import.meta.url, folder, name];
    const { success } = await new Deno.Command(Deno.execPath(), { args }).spawn().status;
    if (!success) throw new Error(`${name} failed`);
  }
}

const [folder, ...names] = Deno.args;
if (folder === undefined) {
  const made = await Deno.makeTempDir({ prefix: "parley-bench-" });
  await runAll(made, Object.keys(STEPS)).finally(() => Deno.remove(made, { recursive: true }));
} else if (names.length === 1) await runStep(folder, names[0]!);
else await runAll(folder, names.length === 0 ? Object.keys(STEPS) : names);
