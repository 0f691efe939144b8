/** How good answers are on real data, which are not part of the repository: what docs/benchmarks.md has, as bounds. */
import assert from "node:assert/strict";
import type { EvaluationReport } from "../../lib/evaluate/evaluate.ts";
import { ROOT } from "../fixtures/flow.ts";
import { shopRows } from "../fixtures/shop_rows.ts";

const DATA = `${ROOT}../shared/data`;

/** The report of `evaluate` with the arguments that `write` gives, in a folder of its own. */
async function evaluate(write: (folder: string) => readonly string[]): Promise<EvaluationReport> {
  const folder = await Deno.makeTempDir({ prefix: "parley-evaluation-" });
  try {
    const args = write(folder);
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--no-check", "--allow-all", `${ROOT}main.ts`, "evaluate", ...args, "--json"],
      env: { PARLEY_DATA: `${folder}/data`, NO_COLOR: "1" },
      stdin: "null",
    }).output();
    assert.equal(code, 0, new TextDecoder().decode(stderr));
    return JSON.parse(new TextDecoder().decode(stdout));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Prints a measure of each method and returns it by name. */
function measured({ methods }: EvaluationReport, metric: "ndcg_10" | "recall_10"): Record<string, number> {
  const means = Object.fromEntries(methods.map(({ method, metrics }) => [method, metrics[metric].mean]));
  console.log(metric, means);
  return means;
}

/** A third: embedding all takes minutes, and shows the same. */
const DIALOGUES = 467;

/** Writes the first dialogues, whole, and returns the arguments that name them. */
function firstDialogues(folder: string): string[] {
  const source = `${DATA}/redial_dev`;
  const rows = (kind: string) => Deno.readTextFileSync(`${source}/${kind}.jsonl`).trim().split("\n");
  const dialogueOf = (row: string): string => JSON.parse(row).conversation_id;
  const first = new Set([...new Set(rows("messages").map(dialogueOf))].slice(0, DIALOGUES));
  const written = ["messages", "events"].flatMap((kind) => {
    const path = `${folder}/${kind}.jsonl`;
    Deno.writeTextFileSync(path, rows(kind).filter((row) => first.has(dialogueOf(row))).join("\n"));
    return [`--${kind}`, path];
  });
  return [...written, "--campaigns", `${source}/campaigns.jsonl`];
}

Deno.test("on dialogues of new users, 2.5 times as many liked films are among the ten as among the popular ones", async () => {
  const report = await evaluate((folder) => [...firstDialogues(folder), "--split", "conversations"]);
  const recall = measured(report, "recall_10");
  assert.ok(recall.parley! >= 2.5 * recall.popularity!, `${recall.parley} and ${recall.popularity}`);
});

/** Films with fewer ratings are left out, as is usual: EASE's time grows with the cube of their number, from seconds to minutes. */
const MIN_RATINGS = 5;

/** Writes the ratings of films that have enough of them, and returns the arguments that name all sources. */
function frequentRatings(folder: string): string[] {
  const source = `${DATA}/ml_latest_small`;
  const rows = Deno.readTextFileSync(`${source}/events.jsonl`).trim().split("\n");
  const filmOf = (row: string): string => JSON.parse(row).campaign_id;
  const ratings = Map.groupBy(rows, filmOf);
  const path = `${folder}/events.jsonl`;
  Deno.writeTextFileSync(
    path,
    rows.filter((row) => ratings.get(filmOf(row))!.length >= MIN_RATINGS).join("\n"),
  );
  return ["--events", path, "--campaigns", `${source}/campaigns.jsonl`];
}

Deno.test("on ratings alone, answers are within 3 % of EASE in closed form", async () => {
  const report = await evaluate((folder) => [...frequentRatings(folder), "--split", "rows", "--folds", "2"]);
  const ndcg = measured(report, "ndcg_10");
  assert.ok(ndcg.parley! >= 0.97 * ndcg.EASE!, `${ndcg.parley} and ${ndcg.EASE}`);
});

/** Writes the rows of a shop in which it is known what users choose by, and returns the arguments that name them. */
function shopFiles(folder: string): string[] {
  const rows = shopRows({ users: 300, visits: 10, seed: 7, unbiased_from: 0.8 });
  return (["messages", "campaigns", "events"] as const).flatMap((kind) => {
    const path = `${folder}/${kind}.ndjson`;
    Deno.writeTextFileSync(path, rows[kind].map((row) => JSON.stringify(row)).join("\n"));
    return [`--${kind}`, path];
  });
}

Deno.test("in a shop whose answers put first what is popular, the weights that a run learns and publishes give 1.5 times the NDCG@10 of the fixed ones", async () => {
  const report = await evaluate((folder) => [...shopFiles(folder), "--split", "time", "--choose-weights"]);
  const ndcg = measured(report, "ndcg_10");
  assert.ok(ndcg.parley! >= 1.5 * ndcg["parley, weights fixed"]!, `${ndcg.parley}`);
});
