/**
 * Changes the model of a loaded Parley with a `kill -9` in the middle, prints that run's log and stages, then goes back.
 * Without arguments: the bundled sample, from the deterministic embedder to the bundled model.
 *
 *     deno run --allow-all tests/bench/reembed.ts [FOLDER FROM TO]
 *     deno run --allow-all tests/bench/reembed.ts ../shared/data/redial_dev test:384 test:1024
 */
import { KINDS } from "../../lib/core/types.ts";
import { type Flow, nightlyRun, ROOT, runDag, SAMPLE, withFlow } from "../fixtures/flow.ts";
import { pipeline } from "../fixtures/kills.ts";

const [folder, from = "test:384", to = `onnx:${ROOT}models/bge-small-en-v1.5`] = Deno.args;
const sources = folder === undefined
  ? SAMPLE
  : Object.fromEntries(KINDS.map((kind) => [kind, [Deno.realPathSync(`${folder}/${kind}.jsonl`)]]));

/** The stages of the newest run of `reembed`, so far. */
async function newest({ runs }: Flow) {
  const [run] = await runs.runs({ dag_id: "reembed", limit: 1 });
  return run === undefined ? null : await runs.snapshot({ run_id: run.run_id });
}

/** Starts the change and kills it once some of the texts are embedded. */
async function killHalfway(flow: Flow): Promise<void> {
  const child = pipeline(flow, ["run", "reembed", "--param", `model=${to}`]);
  while (true) {
    const snapshot = await newest(flow);
    const embed = snapshot?.attempts.find(({ task_id }) => task_id === "embed");
    if (snapshot?.run.ended_at || (embed?.progress_done ?? 0) > 0) break;
    await new Promise((resume) => setTimeout(resume, 20));
  }
  child.kill("SIGKILL");
  await child.status;
}

function seconds(start: number): string {
  return `${((performance.now() - start) / 1_000).toFixed(1)} s`;
}

await withFlow(async (flow) => {
  const loading = performance.now();
  await nightlyRun(flow, sources);
  const { messages } = await flow.services.documents.counts();
  console.log(`${messages} messages loaded by ${from} in ${seconds(loading)}`);
  const changing = performance.now();
  await killHalfway(flow);
  await pipeline(flow, ["work"]).status;
  const { run, attempts } = (await newest(flow))!;
  console.log(`changed to ${to} in ${seconds(changing)} with a kill -9: ${run.state}`);
  for (const { at, task_id, attempt, line } of await flow.runs.logs({ ...run, after: 0, limit: 1_000 })) {
    console.log(`  ${at} ${task_id}/${attempt} ${line}`);
  }
  for (const { task_id, attempt, state, started_at, ended_at, progress_done } of attempts) {
    const ms = Date.parse(ended_at ?? started_at) - Date.parse(started_at);
    console.log(
      `  ${task_id}/${attempt} ${state} after ${ms / 1_000} s${
        state === "lost" ? `, at row ${progress_done}` : ""
      }`,
    );
  }
  const returning = performance.now();
  const back = await runDag(flow, "reembed", { model: from });
  console.log(`back to ${from} in ${seconds(returning)}: ${back.outcome}`);
}, { PARLEY_EMBEDDINGS: from });
