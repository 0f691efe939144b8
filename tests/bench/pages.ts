/**
 * How long the server takes for each page, over a run store with 1,000 runs of 50 tasks each, the newest of which succeeded,
 * so that each of their tasks is compared with its history. Every page is requested without a cache, and again while what reads much is
 * still kept; the first request, which loads the page's module, is listed separately. Memory and disk as embedded.
 *
 *     deno task bench pages
 */
import { iso, systemClock } from "../../lib/core/clock.ts";
import { defineDag } from "../../lib/dag/define.ts";
import { newTask } from "../../lib/dag/state.ts";
import type { RunStore } from "../../lib/stores/runs/port.ts";
import { createApp } from "../../routes/app.ts";
import { runOf, startOf } from "../fixtures/runs.ts";
import { emptyWorld } from "../lib/recommend/world.ts";

const RUNS = 1_000;
const TASKS = 50;
const TIMES = 30;
const dag = defineDag<never>({
  id: "big",
  tasks: Array.from({ length: TASKS }, (_, i) => ({
    id: `task-${i}`,
    ...i < 5 ? {} : { needs: [`task-${i - 5}`, `task-${i - 4}`] },
    run: () => Promise.resolve(),
  })),
});

async function addRun(runs: RunStore, n: number): Promise<void> {
  const at = Date.now() - (RUNS - n) * 3_600_000;
  const run = runOf(`big-${n}`, {
    dag_id: dag.id,
    dag_version: dag.version,
    created_at: iso(at),
    logical_date: iso(at),
  });
  const starts = dag.tasks.map(({ id }, i) => startOf(newTask(id), { owner: "bench", now: at + 1_000 * i }));
  await runs.create({ run, tasks: starts.map(({ task }) => task) });
  const change = { run_id: run.run_id, now: at };
  await runs.revise({ ...change, plan: () => ({ starts }) });
  const end = n % 10 === 0 ? "failed" : "success";
  const ended = starts.map(({ attempt }, i) => ({
    ...attempt,
    state: i === TASKS - 1 ? end : "success" as const,
    ended_at: iso(at + 1_000 * i + 800 + (n * 37 + i) % 100),
    rows_in: 1_000 + (n * 31 + i) % 100,
    rows_out: 900 + (n * 17 + i) % 100,
    lineage: (["input", "output"] as const).map((direction, step) => ({
      direction,
      namespace: "bench",
      name: `rows-${i + step}`,
      rows: 1_000,
      bytes: null,
      version: null,
      fields: [],
      quality: {},
    })),
  } as const));
  const tasks = starts.map(({ task }, i) => ({ ...task, state: ended[i]!.state }));
  const over = { state: end, started_at: iso(at), ended_at: iso(at + 1_000 * TASKS), error: null } as const;
  await runs.revise({ ...change, plan: () => ({ run: over, tasks, ended }) });
}

const world = await emptyWorld();
for (let n = 0; n < RUNS; n++) await addRun(world.stores.runs, n);
/** Moved on, nothing that a page keeps is young enough any more. */
let ahead = 0;
const app = await createApp({
  stores: world.stores,
  dags: [dag],
  clock: { now: () => systemClock.now() + ahead },
  version: "bench",
  keys: [],
  log: null,
  dashboard: {
    dags: new Map([[dag.id, dag]]),
    runs: world.stores.runs,
    closing: new AbortController().signal,
  },
});

async function time(path: string, uncached: boolean): Promise<number> {
  if (uncached) ahead += 60_000;
  const start = performance.now();
  const response = await app.request(path, { headers: { accept: "text/html" } });
  await response.text();
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return performance.now() - start;
}

async function times(path: string, uncached: boolean): Promise<string> {
  const all: number[] = [];
  for (let i = 0; i < TIMES; i++) all.push(await time(path, uncached));
  all.sort((a, b) => a - b);
  const [fastest, p50, slowest] = [all[0]!, all[TIMES / 2]!, all.at(-1)!].map((ms) => ms.toFixed(1));
  return `p50 ${p50} (${fastest} to ${slowest})`;
}

const PATHS = [
  "/",
  "/anomalies",
  "/data",
  "/pipelines",
  "/pipelines/big",
  "/pipelines/big?page=40",
  "/runs",
  "/runs?page=20",
  "/runs/big-9",
  "/stores",
];

console.log(`${RUNS} runs of ${TASKS} tasks; milliseconds on the server, ${TIMES} requests each`);
for (const path of PATHS) {
  const first = await time(path, true);
  const uncached = await times(path, true);
  const kept = await times(path, false);
  console.log(`${path.padEnd(24)} uncached ${uncached}; kept ${kept}; first ${first.toFixed(1)}`);
}
await world.close();
