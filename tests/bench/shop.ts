/**
 * Weights learnt in a simulated shop of which it is known what users choose by: answers put first what is popular, and users look at the nth
 * place in one of n cases. In the last fifth of time lists are in no order, and users look at all places: these choices, which the evaluation
 * hides, are what users like. Once with the places in events, and once without; then the same from features alone, next to choices
 * that never depended on places.
 *
 *     deno task bench shop
 */
import type { EvaluationReport } from "../../lib/evaluate/evaluate.ts";
import { PARLEY } from "../../lib/evaluate/rank_fold.ts";
import { chooseRanker } from "../../lib/learn/choose_ranker.ts";
import { WEIGHTS } from "../../lib/recommend/score.ts";
import { shopRows } from "../fixtures/shop_rows.ts";
import { distance, EXAMINED, shopQueries } from "../lib/learn/shop.ts";

const ROOT = decodeURIComponent(new URL("../../", import.meta.url).pathname);
const SHOP = { users: 400, visits: 10, seed: 7, unbiased_from: 0.8 };
const KINDS = ["messages", "campaigns", "events"] as const;
const SEEDS = [1, 2, 3, 4, 5];
const QUERIES = 8_000;

async function evaluate(folder: string, with_positions: boolean): Promise<EvaluationReport> {
  const rows = shopRows({ ...SHOP, with_positions });
  const sources = KINDS.flatMap((kind) => {
    const path = `${folder}/${kind}.ndjson`;
    Deno.writeTextFileSync(path, rows[kind].map((row) => JSON.stringify(row)).join("\n"));
    return [`--${kind}`, path];
  });
  const options = ["--split", "time", "--choose-weights", "--keep-vectors", `${folder}/vectors.db`, "--json"];
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--allow-all", `${ROOT}main.ts`, "evaluate", ...sources, ...options],
    env: { PARLEY_DATA: `${folder}/data`, NO_COLOR: "1" },
    stderr: "null",
  }).output();
  if (!success) throw new Error("the evaluation failed");
  return JSON.parse(new TextDecoder().decode(stdout));
}

function print(title: string, { queries, methods }: EvaluationReport): void {
  console.log(`\n${title}: NDCG@10 of ${queries} users`);
  for (const { method, metrics, against } of methods) {
    if (method !== "popularity" && !method.startsWith(PARLEY)) continue;
    const paired = against[`${PARLEY}, weights fixed`]?.ndcg_10;
    const difference = paired === undefined
      ? ""
      : `, less fixed ${paired.mean.toFixed(4)} (${paired.low.toFixed(4)} … ${paired.high.toFixed(4)})`;
    console.log(`  ${method.padEnd(24)}${metrics.ndcg_10.mean.toFixed(4)}${difference}`);
  }
}

const folder = await Deno.makeTempDir({ prefix: "parley-bench-" });
try {
  print("places known", await evaluate(folder, true));
  print("places unknown", await evaluate(folder, false));
} finally {
  await Deno.remove(folder, { recursive: true });
}

console.log(`\ndistance to what users choose by, ${QUERIES} lists, ${SEEDS.length} draws:`);
const held_out = (user: number) => user % 2 === 1;
const from: Record<string, (seed: number) => ReturnType<typeof shopQueries>> = {
  "choices by place, corrected": (seed) =>
    shopQueries({ queries: QUERIES, seed, examined: EXAMINED, held_out }),
  "choices by place, not corrected": (seed) =>
    from["choices by place, corrected"]!(seed).map((query) => ({ ...query, places: null })),
  "choices among all places": (seed) =>
    shopQueries({ queries: QUERIES, seed, examined: EXAMINED.map(() => 1), held_out }),
};
for (const [name, queries] of Object.entries(from)) {
  const distances = [];
  for (const seed of SEEDS) {
    const { learnt } = await chooseRanker(queries(seed), { before: WEIGHTS });
    distances.push(distance(learnt!));
  }
  const mean = distances.reduce((a, b) => a + b) / SEEDS.length;
  console.log(
    `  ${name.padEnd(32)}${mean.toFixed(3)} (${Math.min(...distances).toFixed(3)} to ${
      Math.max(...distances).toFixed(3)
    })`,
  );
}
