/**
 * What a nightly run costs by its size: each task as a process of its own, with its time, CPU, peak memory and bytes
 * written, for some sizes, and then for 1 % new rows on the largest. The users are made up, with three messages and ten
 * events each, and the embedder is the deterministic one of 384 dimensions.
 *
 *     deno task bench bulk                                     10,000 users; some minutes
 *     deno run --allow-all tests/bench/bulk.ts 10000 100000    several sizes, with the ratio of the last two
 */
import { openServices } from "../../commands/services.ts";
import { loadConfig } from "../../lib/config.ts";
import { batches } from "../../lib/core/batches.ts";
import { nightly } from "../../tasks/nightly.ts";
import { minute, pick, random } from "../fixtures/rows.ts";
import type { Measured } from "./lib/measured_main.ts";
import { wordsLikeTheirs } from "./lib/scale_world.ts";

const MAIN = decodeURIComponent(new URL("lib/measured_main.ts", import.meta.url).pathname);
const CAMPAIGNS = 2_000;
const MESSAGES = 3;
const EVENTS = 10;
const NEW_SHARE = 0.01;
const NO_SOURCES = { messages: [], campaigns: [], events: [] };
const TASKS = nightly({ schedule: null, deadline: null, sources: NO_SOURCES, inbox: null }).tasks;
const TYPES = ["impression", "impression", "click", "conversion", "dismissal"] as const;

/** Writes sources with the rows of these users, and returns them as arguments. */
async function writeSources(folder: string, users: readonly [from: number, to: number], night: number) {
  const next = random(users[1] * 7 + night);
  const ids = Array.from({ length: users[1] - users[0] }, (_, at) => users[0] + at);
  const kinds = {
    campaigns: Array.from({ length: night === 0 ? CAMPAIGNS : 0 }, (_, at) => at),
    messages: ids.flatMap((user) => Array.from({ length: MESSAGES }, () => user)),
    events: ids.flatMap((user) => Array.from({ length: EVENTS }, () => user)),
  };
  const rowOf = {
    campaigns: (at: number) => ({ campaign_id: `campaign-${at}`, title: wordsLikeTheirs(next, 4) }),
    messages: (user: number, at: number) => ({
      user_id: `user-${user}`,
      message: wordsLikeTheirs(next, 20),
      timestamp: minute(at % 400_000),
      conversation_id: `c-${user}-${night}`,
    }),
    events: (user: number, at: number) => ({
      user_id: `user-${user}`,
      campaign_id: `campaign-${Math.floor(CAMPAIGNS ** next())}`,
      type: pick(next, TYPES),
      timestamp: minute((at + night) % 400_000),
      conversation_id: `c-${user}-${night}`,
    }),
  };
  const args: string[] = [];
  for (const kind of ["campaigns", "messages", "events"] as const) {
    if (kinds[kind].length === 0) continue;
    const path = `${folder}/${kind}-${night}.jsonl`;
    args.push(`--${kind}`, path);
    using file = await Deno.create(path);
    let at = 0;
    for await (const some of batches(kinds[kind], 10_000)) {
      const lines = some.map((each) => JSON.stringify(rowOf[kind](each, at++)) + "\n");
      await new Blob(lines).stream().pipeTo(file.writable, { preventClose: true });
    }
  }
  return args;
}

async function parley(
  folder: string,
  args: readonly string[],
  env: Record<string, string>,
): Promise<Measured> {
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-check", "--allow-all", MAIN, ...args],
    cwd: folder,
    env: { ...env, PARLEY_EMBEDDINGS: "test:384", MEASURED: `${folder}/measured.json` },
    stdout: "null",
    stderr: "piped",
  }).output();
  if (code !== 0 && code !== 99) throw new Error(`${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
  return JSON.parse(Deno.readTextFileSync(`${folder}/measured.json`));
}

/** Runs all tasks of a nightly run, one after the other, and prints what each cost; returns the sum. */
async function night(title: string, folder: string, sources: readonly string[]): Promise<Measured> {
  const env: Record<string, string> = {};
  for (let at = 0; at < sources.length; at += 2) {
    env[`PARLEY_${sources[at]!.slice(2).toUpperCase()}`] = sources[at + 1]!;
  }
  const run_id = title.replaceAll(/\W+/g, "-");
  let sum: Measured = { seconds: 0, cpu_s: 0, peak_mb: 0, written_mb: 0, write_calls_mb: 0 };
  console.log(`\n${title}`);
  for (const { id } of TASKS) {
    const cost = await parley(folder, [
      "pipeline",
      "run-task",
      "--dag",
      "nightly",
      "--task",
      id,
      "--run-id",
      run_id,
    ], env);
    print(id, cost);
    sum = {
      seconds: sum.seconds + cost.seconds,
      cpu_s: sum.cpu_s + cost.cpu_s,
      peak_mb: Math.max(sum.peak_mb, cost.peak_mb),
      written_mb: sum.written_mb + cost.written_mb,
      write_calls_mb: sum.write_calls_mb + cost.write_calls_mb,
    };
  }
  print("in all", sum);
  const kept = bytesUnder(`${folder}/.parley`);
  const artifacts = bytesUnder(`${folder}/.parley/artifacts`);
  console.log(
    `  kept ${megabytes(kept)}, of which artifacts ${megabytes(artifacts)}; written ${
      (sum.written_mb * 1e6 / kept).toFixed(1)
    } × kept`,
  );
  return sum;
}

/** Hashes of what the stores hold, to be compared with those of another Parley. */
async function digests(folder: string): Promise<string> {
  const config = loadConfig({ PARLEY_DATA: `${folder}/.parley`, PARLEY_EMBEDDINGS: "test:384" }, folder);
  const { value: { documents, analytics, graph, vectors, embedder }, close } = await openServices(config);
  const store = await vectors.forModel({ model: (await embedder()).model });
  const named = Object.entries({ documents, analytics, graph, vectors: store });
  const all: string[] = [];
  for (const [name, each] of named) all.push(`${name} ${(await each.digest()).slice(0, 12)}`);
  await close();
  return all.join(", ");
}

function print(name: string, cost: Measured): void {
  const number = (value: number, digits = 1) => value.toFixed(digits).padStart(9);
  console.log(
    `  ${name.padEnd(14)}${number(cost.seconds)} s${number(cost.cpu_s)} s CPU${number(cost.peak_mb, 0)} MB` +
      `${number(cost.written_mb)} MB written${number(cost.write_calls_mb)} MB by calls`,
  );
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

function bytesUnder(path: string): number {
  let bytes = 0;
  for (const { name, isDirectory } of Deno.readDirSync(path)) {
    bytes += isDirectory ? bytesUnder(`${path}/${name}`) : Deno.statSync(`${path}/${name}`).size;
  }
  return bytes;
}

const sizes = Deno.args.length > 0 ? Deno.args.map(Number) : [10_000];
const dir = await Deno.makeTempDir({ prefix: "parley-bulk-" });
try {
  const sums: Measured[] = [];
  let folder = dir;
  for (const users of sizes) {
    folder = `${dir}/${users}`;
    await Deno.mkdir(folder);
    sums.push(await night(`${users} users`, folder, await writeSources(folder, [0, users], 0)));
    if (sums.length === 1) console.log(`  digests: ${await digests(folder)}`);
  }
  const [before, last] = sums.slice(-2);
  if (last !== undefined) {
    console.log(
      `\n${sizes.at(-1)! / sizes.at(-2)!} × the users: ${
        (last.seconds / before!.seconds).toFixed(1)
      } × the time, ` +
        `${(last.cpu_s / before!.cpu_s).toFixed(1)} × the CPU`,
    );
  }
  const some = Math.ceil(sizes.at(-1)! * NEW_SHARE);
  await night(
    `${some} of ${sizes.at(-1)} users write again`,
    folder,
    await writeSources(folder, [0, some], 1),
  );
} finally {
  await Deno.remove(dir, { recursive: true });
}
