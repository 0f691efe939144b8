import assert from "node:assert/strict";
import { defineDag } from "../../lib/dag/define.ts";
import type { EvaluationOutput } from "../../lib/monitoring/task_outputs.ts";
import { addRun } from "../fixtures/runs.ts";
import { pageTest, see } from "./pages.ts";

/** A pipeline of a user's own that evaluates: pages find it by its task's role. */
const OWN = defineDag<never>({
  id: "own-evaluation",
  doc: "Measures answers.",
  tasks: [{ id: "measure", role: "evaluate", run: () => Promise.resolve() }],
});
const dashboard = { dags: new Map([[OWN.id, OWN]]) };

const around = (mean: number) => ({ mean, low: mean - 0.01, high: mean + 0.01 });

function output(parley: number, split = "time"): EvaluationOutput {
  const method = (
    name: string,
    value: number,
    against: EvaluationOutput["methods"][number]["against"] = {},
  ) => ({
    method: name,
    ndcg_10: around(value),
    recall_10: around(value / 2),
    coverage: 0.5,
    against,
    by_kind: [{ kind: "messages", queries: 30, ndcg_10: value }, {
      kind: "nothing",
      queries: 10,
      ndcg_10: 0.01,
    }],
  });
  return {
    report: "artifact:report.json",
    split,
    queries: 40,
    subject: "parley",
    methods: [method("popularity", 0.1), method("parley", parley, { popularity: around(parley - 0.1) })],
    ablation: [{ without: "wording", ndcg_10: around(-0.05) }, { without: "intent", ndcg_10: around(0.002) }],
    chosen_weights: [{ queries: 40, weights: { wording: 0.75, intent: 0.25 } }],
  };
}

pageTest(
  "evaluations are side by side, and the newest or the chosen one is shown in detail",
  async ({ app, world, clock }) => {
    const { runs } = world.stores;
    const results = [output(0.2), output(0.05, "rows"), output(0.3)];
    for (const [n, output] of results.entries()) {
      const at = clock.now() - (3 - n) * 3_600_000;
      await addRun(runs, {
        dag_id: OWN.id,
        run_id: `run-${n}`,
        at,
        task_id: "measure",
        output: { ...output },
      });
    }
    // Of an older Parley, or of a run that was interrupted.
    await addRun(runs, {
      dag_id: OWN.id,
      run_id: "old",
      at: clock.now(),
      task_id: "measure",
      output: { queries: 3 },
    });
    await addRun(runs, { dag_id: OWN.id, run_id: "none", at: clock.now(), task_id: "measure" });
    const { html } = await see(app, "/evaluation");
    assert.match(
      html,
      /NDCG@10<\/dt><dd><span class="value">0\.3000<\/span><span class="note">0\.2900 – 0\.3100/,
    );
    assert.match(html, /tone-good"><dt>Better than popularity by<\/dt><dd><span class="value">\+0\.2000/);
    assert.match(html, /<table id="evaluations"[\s\S]*run-2[\s\S]*run-1[\s\S]*run-0/);
    assert.doesNotMatch(html, /run=old|run=none/);
    assert.match(html, /NDCG@10 by time, with 95 % intervals/);
    assert.match(html, /<table id="kinds"[\s\S]*messages[\s\S]*>30<[\s\S]*0\.3000[\s\S]*nothing/);
    assert.match(html, /Without a source[\s\S]*wording[\s\S]*−0\.0500[\s\S]*intent[\s\S]*\+0\.0020/);
    assert.match(html, /<table id="weights"[\s\S]*0\.7500/);
    const worse = (await see(app, "/evaluation?run=run-1")).html;
    assert.match(worse, /tone-bad"><dt>Better than popularity by<\/dt><dd><span class="value">−0\.0500/);
    assert.doesNotMatch(worse, /NDCG@10 by rows/, "one evaluation is no line");
    assert.equal((await see(app, "/evaluation?run=none")).status, 404);
  },
  {},
  dashboard,
);

pageTest(
  "without an evaluation the page says how to make one",
  async ({ app, world }) => {
    assert.match((await see(app, "/evaluation")).html, /deno task pipeline run evaluate/);
    await world.stores.runs.close();
    assert.match((await see(app, "/evaluation")).html, /The run store did not answer/);
  },
  {},
  dashboard,
);
