/**
 * The nightly pipeline over a data set of conversations, as its command runs it: time and rows of each stage, a second
 * run, ten copies with fresh ids under the deterministic embedder next to one copy, and answers while idle and while a
 * pipeline runs. Peak memory is the kernel's (Linux).
 *
 *     deno run --allow-all tests/bench/nightly.ts [--quick]     --quick leaves the real model out
 */
import { createApp } from "../../routes/app.ts";
import { loadConfig } from "../../lib/config.ts";
import { systemClock } from "../../lib/core/clock.ts";
import { KINDS } from "../../lib/core/types.ts";
import { openServing } from "../../commands/services.ts";
import type { RunSummary } from "../../commands/run_summary.ts";
import { benchServe, formatFigures } from "./lib/serve.ts";

const ROOT = decodeURIComponent(new URL("../../", import.meta.url).pathname);
const DATA = `${ROOT}../shared/data/redial_dev`;
const IDS = ["message_id", "conversation_id", "user_id", "campaign_id"];

interface Ran {
  readonly summary: RunSummary;
  readonly peak_mb: number;
  readonly seconds: number;
}

/** Runs the pipeline command in `folder` over `input` and watches its memory. */
async function pipeline(folder: string, input: string, embeddings: string | null): Promise<Ran> {
  const sources = KINDS.flatMap((kind) => [`--${kind}`, `${input}/${kind}.jsonl`]);
  const start = performance.now();
  const child = new Deno.Command("deno", {
    args: ["run", "--quiet", "--allow-all", `${ROOT}main.ts`, "pipeline", ...sources, "--json"],
    cwd: folder,
    env: embeddings === null ? {} : { PARLEY_EMBEDDINGS: embeddings },
    stdout: "piped",
    stderr: "null",
  }).spawn();
  let peak = 0;
  const timer = setInterval(() => peak = Math.max(peak, peakKb(child.pid)), 50);
  const { stdout, success } = await child.output();
  clearInterval(timer);
  if (!success) throw new Error(`the pipeline failed: ${new TextDecoder().decode(stdout)}`);
  const summary = JSON.parse(new TextDecoder().decode(stdout));
  return { summary, peak_mb: Math.round(peak / 1_024), seconds: (performance.now() - start) / 1_000 };
}

function peakKb(pid: number): number {
  try {
    return Number(/VmHWM:\s+(\d+)/.exec(Deno.readTextFileSync(`/proc/${pid}/status`))?.[1] ?? 0);
  } catch {
    return 0; // It has just ended; the previous peak remains.
  }
}

function print(title: string, { summary, peak_mb, seconds }: Ran): void {
  console.log(`\n${title}: ${seconds.toFixed(2)} s in all, peak ${peak_mb} MB`);
  for (const s of summary.stages.filter(({ seconds }) => seconds !== null && seconds > 0)) {
    const rate = Math.round(s.rows_in / s.seconds!).toLocaleString("en");
    console.log(
      `  ${s.stage.padEnd(10)}${s.state.padEnd(9)}${String(s.rows_in).padStart(8)} in${
        String(s.rows_out).padStart(8)
      } out` +
        `${String(s.quarantined).padStart(5)} refused${s.seconds!.toFixed(2).padStart(9)} s${
          rate.padStart(10)
        } rows/s`,
    );
  }
}

/** Ten copies of the input under ids of their own. */
async function tenfold(folder: string): Promise<string> {
  const target = `${folder}/tenfold`;
  await Deno.mkdir(target);
  for (const kind of KINDS) {
    const lines = (await Deno.readTextFile(`${DATA}/${kind}.jsonl`)).split("\n").filter((line) =>
      line !== ""
    );
    using file = await Deno.create(`${target}/${kind}.jsonl`);
    for (let copy = 0; copy < 10; copy++) {
      const fresh = lines.map((line) => {
        const row = JSON.parse(line);
        for (const id of IDS) if (row[id] !== undefined) row[id] = `${row[id]}-${copy}`;
        return JSON.stringify(row);
      });
      await new Blob([fresh.join("\n"), "\n"]).stream().pipeTo(file.writable, { preventClose: true });
    }
  }
  return target;
}

async function answers(folder: string): Promise<void> {
  const config = loadConfig({ PARLEY_DATA: `${folder}/.parley` }, ROOT);
  const { value: stores, close } = await openServing(config);
  const app = await createApp({ stores, clock: systemClock, version: "bench", keys: [], log: null });
  const user_ids = [...new Set(idsOf("messages").concat(idsOf("events")))];
  console.log(`\nanswers over ${user_ids.length} users`);
  console.log(formatFigures(await benchServe({ app, user_ids })));
  await close();
}

function idsOf(kind: string): string[] {
  const lines = Deno.readTextFileSync(`${DATA}/${kind}.jsonl`).split("\n").filter((line) => line !== "");
  return lines.map((line): string => JSON.parse(line).user_id);
}

/** Uncached answers from the API's own process, idle and then during a pipeline that works on other data in it. */
async function whileRunning(folder: string, input: string): Promise<void> {
  const child = new Deno.Command("deno", {
    args: ["run", "--quiet", "--allow-all", `${ROOT}main.ts`, "serve"],
    cwd: folder,
    env: { PARLEY_PORT: "0" },
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const url = /http:\S+/.exec((await reader.read()).value ?? "")![0];
  const users = [...new Set(idsOf("messages"))];
  let k = 1;
  const round = async (until: () => boolean): Promise<number[]> => {
    const times: number[] = [];
    for (let i = 0; !until(); i++) {
      if (i % users.length === 0) k = k % 100 + 1;
      const start = performance.now();
      await (await fetch(`${url}/recommendations/${users[i % users.length]}?k=${k}`)).arrayBuffer();
      times.push(performance.now() - start);
    }
    return times;
  };
  let n = 0;
  await round(() => n++ >= 500);
  n = 0;
  const idle = await round(() => n++ >= 1_500);
  let over = false;
  const running = pipeline(folder, input, "test:384").finally(() => over = true);
  const during = await round(() => over);
  await running;
  child.kill("SIGTERM");
  await reader.cancel();
  await child.status;
  console.log(`\nanswers over HTTP, single client (p50 / p95 / p99 ms)`);
  console.log(`  idle               ${quantiles(idle)}  (${idle.length} requests)`);
  console.log(`  during a pipeline  ${quantiles(during)}  (${during.length} requests)`);
}

function quantiles(times: number[]): string {
  const sorted = times.toSorted((a, b) => a - b);
  return [0.5, 0.95, 0.99].map((q) => sorted[Math.floor(q * (sorted.length - 1))]!.toFixed(2)).join(" / ");
}

try {
  Deno.statSync(DATA);
} catch {
  console.log(`nothing measured: ${DATA}, with messages, campaigns and events as .jsonl, is not there`);
  Deno.exit(0);
}

const folder = await Deno.makeTempDir({ prefix: "parley-bench-" });
try {
  const [real, one, ten] = ["real", "one", "ten"].map((name) => `${folder}/${name}`);
  for (const each of [real, one, ten]) await Deno.mkdir(each!);
  if (!Deno.args.includes("--quick")) {
    print("one copy, bundled model", await pipeline(real!, DATA, null));
    print("one copy again", await pipeline(real!, DATA, null));
    await answers(real!);
  }
  const input = await tenfold(folder);
  const single = await pipeline(one!, DATA, "test:384");
  print("one copy, deterministic embedder", single);
  const many = await pipeline(ten!, input, "test:384");
  print("ten copies, deterministic embedder", many);
  console.log(`\npeak memory of ten copies: ${(many.peak_mb / single.peak_mb).toFixed(2)} × that of one`);
  if (Deno.args.includes("--quick")) await answers(one!);
  await whileRunning(one!, input);
} finally {
  await Deno.remove(folder, { recursive: true });
}
