import assert from "node:assert/strict";
import { DEPTH } from "../../../lib/evaluate/metrics.ts";
import { PARLEY, withoutName } from "../../../lib/evaluate/rank_fold.ts";
import { pack, rankBy, without } from "../../../lib/evaluate/rescore.ts";
import { splitRows } from "../../../lib/evaluate/splits.ts";
import { SOURCES } from "../../../lib/recommend/answer.ts";
import { WEIGHTS } from "../../../lib/recommend/score.ts";
import { rankingKey, rankOnce, sampleDataset } from "../../fixtures/evaluate.ts";

Deno.test("rankBy() with the fixed weights gives what the recommender answers, and packed candidates give the same", async () => {
  const [fold] = splitRows(await sampleDataset(), "rows", { folds: 5, seed: 1, named: () => [] });
  const { rankings, weighables } = await rankOnce(fold!);
  assert.ok(fold!.queries.length > 10);
  const changed = new Set<string>();
  for (const query of fold!.queries) {
    const whole = weighables.get(query)!;
    const packed = pack(whole);
    const answer = rankings.get(rankingKey(PARLEY, query));
    assert.deepEqual(rankBy(whole, WEIGHTS, DEPTH), answer);
    assert.deepEqual(rankBy(packed, WEIGHTS, DEPTH), answer);
    for (const source of SOURCES) {
      const ranking = rankings.get(rankingKey(withoutName(source), query));
      assert.deepEqual(rankBy(packed, without(source, WEIGHTS), DEPTH), ranking, source);
      if (String(ranking) !== String(answer)) changed.add(source);
    }
  }
  assert.deepEqual([...changed].sort(), [...SOURCES].sort());
});
