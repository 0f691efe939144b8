/**
 * What the dag engine costs: a durable chain of 40 tasks of 10 ms, its overhead for each task, 10,000 tasks in one
 * run, 1,000 instances of a mapped task, and the query behind a page over 1,000 tasks. Every figure is of a file that is flushed at each commit.
 *
 *     deno run --allow-read --allow-write --allow-env tests/bench/dag.ts
 */
import { systemClock } from "../../lib/core/clock.ts";
import type { Dag } from "../../lib/dag/define.ts";
import { createRun } from "../../lib/dag/runs.ts";
import { SqliteRuns } from "../../lib/stores/runs/sqlite/sqlite_runs.ts";
import { dagOf, driveRun, ok, options, sleep } from "../fixtures/dag.ts";

const CHAIN = 40;
const TASK_MS = 10;

interface Span {
  readonly started: number;
  readonly ended: number;
}

const chain = (spans: Span[], work: () => Promise<void>) =>
  dagOf(Array.from({ length: CHAIN }, (_, i) => ({
    id: `t${String(i).padStart(2, "0")}`,
    needs: i === 0 ? [] : [`t${String(i - 1).padStart(2, "0")}`],
    run: async () => {
      const started = performance.now();
      await work();
      spans.push({ started, ended: performance.now() });
    },
  })));

const independent = (count: number) =>
  dagOf(Array.from({ length: count }, (_, i) => ({ id: `t${i}`, run: ok })));

/** Milliseconds from the claim of a run to its recorded end. */
async function timeRun(runs: SqliteRuns, dag: Dag<null>): Promise<{ ms: number; run_id: string }> {
  const { run_id } = await createRun({ dag, runs, clock: systemClock, params: {} });
  const o = options({ runs, dag, heartbeat_ms: 1_000, concurrency: 16, pools: { default: 16 } });
  const from = performance.now();
  const { outcome } = await driveRun(o, run_id);
  if (outcome !== "success") throw new Error(`the run ended as ${outcome}`);
  return { ms: performance.now() - from, run_id };
}

const quantile = (sorted: readonly number[], q: number) =>
  sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]!;
const figure = (ms: number) => `${ms.toFixed(2)} ms`;

async function benchChain(runs: SqliteRuns): Promise<void> {
  const times: number[] = [];
  for (let n = 0; n < 5; n++) {
    times.push((await timeRun(runs, chain([], () => sleep(TASK_MS)))).ms);
  }
  times.sort((a, b) => a - b);
  const bare: Span[] = [];
  const from = performance.now();
  for (const task of chain(bare, () => sleep(TASK_MS)).tasks) await task.run(null as never);
  const base = performance.now() - from;
  console.log(
    `chain of ${CHAIN} tasks of ${TASK_MS} ms, durable: ${(quantile(times, 0.5) / 1_000).toFixed(3)} s ` +
      `(best ${(times[0]! / 1_000).toFixed(3)}; the same awaits without an engine ${
        (base / 1_000).toFixed(3)
      })`,
  );
}

/** The time between the end of one task of a chain and the start of the next: a commit, flushed, and the engine. */
async function benchOverhead(runs: SqliteRuns): Promise<void> {
  const gaps: number[] = [];
  for (let n = 0; n < 25; n++) {
    const spans: Span[] = [];
    await timeRun(runs, chain(spans, () => sleep(1)));
    for (const [i, span] of spans.entries()) if (i > 0) gaps.push(span.started - spans[i - 1]!.ended);
  }
  gaps.sort((a, b) => a - b);
  const [p50, p99] = [quantile(gaps, 0.5), quantile(gaps, 0.99)];
  console.log(`overhead for each task (${gaps.length}): p50 ${figure(p50)}, p99 ${figure(p99)}`);
}

const mapped = (count: number) =>
  dagOf([
    { id: "list", run: () => Promise.resolve(Array.from({ length: count }, (_, i) => ({ shard: i }))) },
    { id: "each", needs: ["list"], expand: { over: "list" }, run: (c) => Promise.resolve(c.item()) },
    { id: "end", needs: ["each"], run: (c) => Promise.resolve(c.output<unknown[]>("each").length) },
  ]);

async function benchWide(runs: SqliteRuns, what: string, count: number, dag: Dag<null>): Promise<void> {
  let peak = 0;
  const watch = setInterval(() => peak = Math.max(peak, Deno.memoryUsage().rss), 20);
  const before = Deno.memoryUsage().rss;
  const { ms } = await timeRun(runs, dag);
  clearInterval(watch);
  const mb = (bytes: number) => `${Math.round(bytes / 1_048_576)} MB`;
  console.log(
    `${count.toLocaleString("en")} ${what} in one run: ${(ms / 1_000).toFixed(2)} s, ` +
      `${figure(ms / count)} each; peak rss ${mb(peak)}, ${mb(before)} before`,
  );
}

async function benchSnapshot(runs: SqliteRuns): Promise<void> {
  const { run_id } = await timeRun(runs, independent(1_000));
  const times: number[] = [];
  for (let n = 0; n < 21; n++) {
    const from = performance.now();
    await runs.snapshot({ run_id });
    times.push(performance.now() - from);
  }
  times.sort((a, b) => a - b);
  console.log(
    `snapshot of a run with 1,000 tasks: p50 ${figure(quantile(times, 0.5))}, worst ${figure(times.at(-1)!)}`,
  );
}

const dir = await Deno.makeTempDir();
const runs = new SqliteRuns({ path: `${dir}/runs.db` });
await benchChain(runs);
await benchOverhead(runs);
await benchSnapshot(runs);
for (let n = 0; n < 3; n++) {
  await benchWide(runs, "instances of a mapped task", 1_000, mapped(1_000));
  await benchWide(runs, "independent tasks", 1_000, independent(1_000));
}
for (const count of [2_500, 10_000]) await benchWide(runs, "independent tasks", count, independent(count));
await runs.close();
await Deno.remove(dir, { recursive: true });
