/**
 * How long the server takes for each page, over a run store with 1,000 runs of 50 tasks each. Memory and disk as embedded;
 * the first request of each page, which loads its module, is told apart.
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
  const end = (n + 1) % 10 === 0 ? "failed" : "success";
  const ended = starts.map(({ attempt }, i) => ({
    ...attempt,
    state: i === TASKS - 1 ? end : "success" as const,
    ended_at: iso(at + 1_000 * i + 900),
    lineage: [],
  } as const));
  const tasks = starts.map(({ task }, i) => ({ ...task, state: ended[i]!.state }));
  const over = { state: end, started_at: iso(at), ended_at: iso(at + 1_000 * TASKS), error: null } as const;
  await runs.revise({ ...change, plan: () => ({ run: over, tasks, ended }) });
}

const world = await emptyWorld();
for (let n = 0; n < RUNS; n++) await addRun(world.stores.runs, n);
const app = await createApp({
  stores: world.stores,
  dags: [dag],
  clock: systemClock,
  version: "bench",
  keys: [],
  log: null,
  dashboard: {
    dags: new Map([[dag.id, dag]]),
    runs: world.stores.runs,
    closing: new AbortController().signal,
  },
});

async function time(path: string): Promise<{ ms: number; kb: number }> {
  const start = performance.now();
  const html = await (await app.request(path, { headers: { accept: "text/html" } })).text();
  return { ms: performance.now() - start, kb: html.length / 1_000 };
}

console.log(`${RUNS} runs of ${TASKS} tasks; milliseconds on the server, ${TIMES} requests each`);
for (
  const path of [
    "/",
    "/pipelines",
    "/pipelines/big",
    "/pipelines/big?page=40",
    "/runs",
    "/runs?page=20",
    "/runs/big-9",
  ]
) {
  const first = await time(path);
  const all: number[] = [];
  for (let i = 0; i < TIMES; i++) all.push((await time(path)).ms);
  all.sort((a, b) => a - b);
  const figures = [all[TIMES / 2]!, all.at(-1)!, first.ms].map((ms) => ms.toFixed(1));
  console.log(
    `${path.padEnd(24)} p50 ${figures[0]}, slowest ${figures[1]}, first ${figures[2]}; ${
      first.kb.toFixed(0)
    } kB`,
  );
}
await world.close();
