import assert from "node:assert/strict";
import { Evaluation } from "../../../lib/evaluate/report.ts";
import type { Query } from "../../../lib/evaluate/splits.ts";
import { event, message } from "../../fixtures/rows.ts";

const query = (person: string, relevant: string, known: Partial<Query> = {}): Query => ({
  user_id: person,
  person,
  messages: [],
  events: [],
  relevant: new Set([relevant]),
  ...known,
});

Deno.test("report() has each method's means, its differences query by query, its coverage and the kinds of users", () => {
  const evaluation = new Evaluation({ campaigns: 8, seed: 1 });
  const queries = [
    query("ann", "a", { messages: [message()] }),
    query("bob", "b", { events: [event()] }),
    query("cat", "c", { messages: [message()], events: [event()] }),
    query("dan", "d", { messages: [message({ role: "assistant" })] }),
  ];
  for (const one of queries) evaluation.add("same", one, ["a", "b"]);
  for (const one of queries) evaluation.add("right", one, [...one.relevant]);
  const [same, right] = evaluation.report(["same"]);
  assert.equal(evaluation.size, 4);
  assert.deepEqual([same!.method, same!.coverage, same!.against], ["same", 2 / 8, {}]);
  assert.equal(same!.metrics.recall_5.mean, 0.5);
  assert.deepEqual([right!.coverage, right!.metrics.ndcg_25.mean], [4 / 8, 1]);
  const { mean, low, high } = right!.against["same"]!.recall_10;
  assert.equal(mean, 0.5);
  assert.ok(low < mean && mean < high);
  assert.deepEqual(
    same!.by_kind.map(({ kind, queries, ndcg_10 }) => [kind, queries, Math.round(100 * ndcg_10)]),
    [["messages", 1, 100], ["events", 1, 63], ["messages and events", 1, 0], ["nothing", 1, 0]],
  );
});

Deno.test("report() draws the interval of a difference from the differences, not from the two methods", () => {
  const evaluation = new Evaluation({ campaigns: 2, seed: 1 });
  const queries = Array.from({ length: 50 }, (_, i) => query(`u${i}`, "a"));
  queries.forEach((one, i) => evaluation.add("base", one, i % 2 === 0 ? ["a"] : []));
  queries.forEach((one, i) => evaluation.add("equal", one, i % 2 === 0 ? ["a"] : []));
  const equal = evaluation.report(["base"])[1]!;
  assert.ok(equal.metrics.ndcg_10.high > equal.metrics.ndcg_10.low);
  assert.deepEqual(equal.against["base"]!.ndcg_10, { mean: 0, low: 0, high: 0 });
});
