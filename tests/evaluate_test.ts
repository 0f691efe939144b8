import assert from "node:assert/strict";
import { EVALUATION_OUTPUT } from "../lib/monitoring/task_outputs.ts";
import type { EvaluationReport } from "../lib/evaluate/evaluate.ts";
import { SOURCES } from "../lib/recommend/answer.ts";
import { runHere, withFolder } from "./fixtures/commands.ts";
import { runDag, SAMPLE, withFlow } from "./fixtures/flow.ts";

const evaluate = (folder: string, args: readonly string[]) => runHere(folder, ["evaluate", ...args]);

const FILES = Object.entries(SAMPLE).flatMap(([kind, paths]) => [`--${kind}`, ...paths]);

/** What is in the data folder. */
const filesIn = (folder: string) => [...Deno.readDirSync(`${folder}/.parley`)].map(({ name }) => name).sort();

let reported: Promise<EvaluationReport> | null = null;

/** What the command reports, with chosen weights; made once, since it takes seconds. */
function commandReport(): Promise<EvaluationReport> {
  return reported ??= (async () => {
    let stdout = "";
    await withFolder(async (folder) => {
      const options = ["--split", "rows", "--folds", "2", "--seed", "3", "--choose-weights", "--json"];
      const ended = await evaluate(folder, [...FILES, ...options]);
      assert.equal(ended.code, 0, ended.stderr);
      assert.deepEqual(filesIn(folder), [], "it leaves nothing behind");
      stdout = ended.stdout;
    });
    return JSON.parse(stdout);
  })();
}

Deno.test("evaluate gives Parley and the baselines the same queries, and leaves nothing behind", async () => {
  const first = await commandReport();
  const names = first.methods.map(({ method }) => method);
  assert.deepEqual(names.sort(), [
    "EASE",
    "item-kNN",
    "parley",
    "parley, weights chosen",
    "parley, weights fixed",
    "parley, weights learnt",
    "popularity",
    "tf-idf conversation-kNN",
    "user-kNN",
  ]);
  assert.equal(first.folds, 2);
  assert.ok(first.queries > 50);
  assert.deepEqual(first.ablation.map(({ without }) => without), SOURCES);
  for (const { method, metrics, by_kind, coverage } of [...first.methods, ...first.ablation]) {
    assert.equal(by_kind.reduce((sum, { queries }) => sum + queries, 0), first.queries, method);
    assert.ok(coverage > 0 && coverage <= 1);
    for (const { mean, low, high } of Object.values(metrics)) {
      assert.ok(0 <= low && low <= mean && mean <= high && high <= 1, method);
    }
  }
  const parley = first.methods.find(({ method }) => method === "parley")!;
  assert.deepEqual(Object.keys(parley.against), [
    "popularity",
    "tf-idf conversation-kNN",
    "parley, weights fixed",
  ]);
  assert.ok(
    parley.against["popularity"]!.ndcg_10.low > 0,
    "the sample's users get better answers than popular ones",
  );
  const intent = first.ablation.find(({ without }) => without === "intent")!;
  assert.ok(
    intent.against["parley"]!.ndcg_10.high < 0,
    "the sample's intents are what its answers live on",
  );
  for (const groups of [first.chosen_weights, first.learnt_weights]) {
    assert.deepEqual(groups.map(({ queries }) => queries).reduce((a, b) => a + b), first.queries);
  }
});

Deno.test("evaluate says what is wrong: no events, an unknown split, one fold, nothing to find", () =>
  withFolder(async (folder) => {
    const none = await evaluate(folder, ["--messages", ...SAMPLE.messages]);
    assert.equal(none.code, 2);
    assert.match(none.stderr, /an evaluation needs events: pass --events, or set PARLEY_EVENTS/);
    const split = await evaluate(folder, [...FILES, "--split", "weeks"]);
    assert.equal(split.code, 2);
    assert.match(split.stderr, /it must be one of rows, conversations, time, last, users/);
    const folds = await evaluate(folder, [...FILES, "--split", "rows", "--folds", "1"]);
    assert.equal(folds.code, 2);
    assert.match(folds.stderr, /it must be a whole number above 1/);
    Deno.writeTextFileSync(`${folder}/e.ndjson`, "");
    const empty = await evaluate(folder, ["--events", `${folder}/e.ndjson`]);
    assert.equal(empty.code, 2);
    assert.match(empty.stderr, /there is nothing to find by --split time/);
  }));

Deno.test("evaluate prints tables of methods, differences, kinds of users and sources, and stores vectors only on request", () =>
  withFolder(async (folder) => {
    const args = [...FILES, "--split", "last", "--keep-vectors", `${folder}/.parley/vectors.db`];
    const { code, stdout, stderr } = await evaluate(folder, args);
    assert.equal(code, 0, stderr);
    for (const line of [/^parley − popularity +\+/m, /^messages and events +\d+/m, /^intent +0\.\d+ .*−/m]) {
      assert.match(stdout, line);
    }
    assert.doesNotMatch(stdout, /weights chosen/);
    assert.match(stderr, /^fold 1: \d+ queries$/m);
    assert.deepEqual(filesIn(folder), ["vectors.db"]);
  }));

Deno.test("evaluate removes what an evaluation left that was killed, and nothing of one that is running", () =>
  withFolder(async (folder) => {
    const data = `${folder}/.parley`;
    for (const name of ["evaluate-1", "evaluate-2", "documents"]) {
      Deno.mkdirSync(`${data}/${name}`, { recursive: true });
    }
    using lock = Deno.openSync(`${data}/evaluate-2/lock`, { create: true, write: true });
    lock.lockSync(true);
    const { code, stderr } = await evaluate(folder, ["--events", ...SAMPLE.events, "--split", "last"]);
    assert.equal(code, 0, stderr);
    assert.deepEqual(filesIn(folder), [
      "documents",
      "evaluate-2",
    ]);
  }));

Deno.test("the evaluate dag leaves the report of the command for the same seed as an artifact, and lineage names the datasets that it read", () =>
  withFlow(async (flow) => {
    const { outcome, snapshot } = await runDag(flow, "evaluate", {
      ...SAMPLE,
      split: "rows",
      folds: 2,
      seed: 3,
      choose_weights: true,
    });
    assert.equal(outcome, "success", snapshot.run.error ?? "");
    const { report: uri, queries, ...output } = EVALUATION_OUTPUT.parse(snapshot.tasks[0]!.output);
    const lines = await Array.fromAsync(flow.services.artifacts.readLines({ uri }));
    const report = JSON.parse(lines.join("\n")) as EvaluationReport;
    assert.deepEqual(report, await commandReport());
    assert.equal(queries, report.queries);
    assert.deepEqual(
      output.methods.map(({ method, ndcg_10, recall_10 }) => [method, ndcg_10, recall_10]),
      report.methods.map(({ method, metrics: { ndcg_10, recall_10 } }) => [method, ndcg_10, recall_10]),
    );
    const own = output.methods.find(({ method }) => method === output.subject)!;
    assert.deepEqual(
      own.against["popularity"],
      report.methods.find(({ method }) => method === "parley")!.against["popularity"]!.ndcg_10,
    );
    assert.equal(output.ablation.length, 7);
    assert.equal(output.chosen_weights.length, 2);
    const { rows_in, rows_out } = snapshot.attempts[0]!;
    const lineage = await flow.runs.lineage({ run_id: snapshot.run.run_id });
    const uses = (way: string) => lineage.filter(({ direction }) => direction === way);
    assert.deepEqual(uses("input").map(({ name }) => name), Object.values(SAMPLE).flat());
    assert.equal(uses("input").reduce((sum, { rows }) => sum + (rows ?? 0), 0), rows_in);
    assert.equal(uses("output").length, 1);
    assert.equal(rows_out, queries);
    assert.equal(await flow.services.analytics.published(), null, "an evaluation publishes nothing");
    assert.ok([...Deno.readDirSync(flow.config.data)].every(({ name }) => !name.startsWith("evaluate-")));
  }));

Deno.test("the evaluate dag says that it needs events", () =>
  withFlow(async (flow) => {
    const { outcome, snapshot } = await runDag(flow, "evaluate", { messages: SAMPLE.messages });
    assert.equal(outcome, "failed");
    assert.match(snapshot.run.error!, /needs events: set the param events, or PARLEY_EVENTS/);
  }));
