import assert from "node:assert/strict";
import { ParleyError } from "../../../lib/core/errors.ts";
import { parseExperiments } from "../../../lib/experiments/experiment_file.ts";

const arms = [{ id: "today" }, { id: "words", weights: { wording: 1, popularity: 0.02 } }];
const valid = { id: "x", arms, metric: "click", baseline: 0.05, minimum_effect: 0.01 };
const parse = (...experiments: unknown[]) =>
  parseExperiments({ text: JSON.stringify({ experiments }), source: "e.json" });

Deno.test("parseExperiments() gives experiments with names of arms that no other arm has", () => {
  const [one] = parse({ ...valid, starts_at: "2026-12-01", ends_at: "2026-12-31", share: 0.5 });
  assert.deepEqual(one, {
    id: "x",
    starts_at: "2026-12-01T00:00:00.000Z",
    ends_at: "2027-01-01T00:00:00.000Z",
    share: 0.5,
    arms: [{ name: "x/today" }, {
      name: "x/words",
      weights: {
        mention: 0,
        similar_conversations: 0,
        wording: 1,
        co_engagement: 0,
        intent: 0,
        similarity: 0,
        popularity: 0.02,
      },
    }],
    metric: "click",
    baseline: 0.05,
    minimum_effect: 0.01,
    power: 0.8,
  });
  const more = [{ id: "a", sources: ["wording"] }, { id: "b", diversity: 0 }];
  assert.deepEqual(parse({ ...valid, arms: more })[0]!.arms, [
    { name: "x/a", sources: ["wording"] },
    { name: "x/b", diversity: 0 },
  ]);
});

Deno.test("parseExperiments() says what is wrong with a file, and where", () => {
  const arm = (more: object) => ({ ...valid, arms: [arms[0], { id: "b", ...more }] });
  for (
    const [experiment, said] of [
      [{ ...valid, id: "a/b" }, /experiments\.0\.id must be 1 to 40/],
      [{ ...valid, color: 1 }, /experiments\.0 has unknown fields: color/],
      [{ ...valid, arms: [arms[0]] }, /arms must be two arms or more/],
      [{ ...valid, arms: [arms[0], arms[0]] }, /arms has two arms with the same id/],
      [{ ...valid, metric: "likes" }, /metric must be click or conversion/],
      [{ ...valid, baseline: undefined }, /baseline is missing/],
      [{ ...valid, baseline: 0.995 }, /cannot rise by the minimum_effect/],
      [{ ...valid, minimum_effect: 0 }, /minimum_effect must be a difference/],
      [{ ...valid, share: 2 }, /share must be a number from 0 to 1$/],
      [{ ...valid, starts_at: "2026-12-01", ends_at: "2026-11-01" }, /ends before it starts/],
      [arm({ weights: { words: 1, popularity: 1 } }), /weights has unknown fields: words/],
      [arm({ weights: { wording: 1 } }), /weights\.popularity must be above 0/],
      [arm({ weights: { wording: -1, popularity: 1 } }), /weights\.wording must be a number from 0 to 100/],
      [arm({ sources: ["words"] }), /sources\.0 must be one of mention/],
      [arm({ sources: [], weights: { popularity: 1 } }), /arms\.1 has weights and sources/],
      [arm({ diversity: 2 }), /diversity must be a number from 0 to 1$/],
      [arm({ weights: [] }), /weights must be an object of weights by source$/],
      [{ ...valid, arms: ["today", "new"] }, /arms\.0 must be an arm, such as/],
      [{ ...valid, power: "high" }, /power must be a number from 0\.5 to 0\.99$/],
      ["x", /used: experiments\.0 must be an object with the fields of an experiment$/],
    ] as const
  ) {
    assert.throws(() => parse(experiment), (error: ParleyError) => {
      assert.equal(error.code, "invalid");
      assert.match(error.message, /^the experiments of e\.json cannot be used: /);
      assert.match(error.message, said);
      return true;
    });
  }
  assert.throws(() => parseExperiments({ text: "{", source: "e.json" }), /e\.json.*not JSON/);
  for (const text of ["[]", "null", "3"]) {
    assert.throws(
      () => parseExperiments({ text, source: "e.json" }),
      { message: "the experiments of e.json cannot be used: must be an object with the list experiments" },
    );
  }
});

Deno.test("parseExperiments() refuses two experiments at the same time, or with one id", () => {
  const [first, second] = [{ ...valid, ends_at: "2026-12-31" }, {
    ...valid,
    id: "y",
    starts_at: "2027-01-01",
  }];
  assert.equal(parse(first, second).length, 2);
  assert.equal(parse(second, first).length, 2);
  assert.throws(
    () => parse(first, { ...second, starts_at: "2026-12-31" }),
    /x and y would be at the same time/,
  );
  assert.throws(() => parse(first, { ...second, starts_at: undefined }), /x and y would be at the same time/);
  assert.throws(() => parse(first, { ...second, id: "x" }), /two experiments have the id x/);
});

Deno.test("the example of docs/experiments.md can be used", async () => {
  const text = await Deno.readTextFile(new URL("../../../docs/experiments.md", import.meta.url));
  const example = /```json\n([\s\S]*?)```/.exec(text)![1]!;
  assert.equal(parseExperiments({ text: example, source: "docs" })[0]!.arms.length, 3);
});
