import assert from "node:assert/strict";
import type { EvaluationReport } from "../commands/evaluate.ts";
import { ROOT, SAMPLE } from "./fixtures/flow.ts";

async function evaluate(folder: string, args: readonly string[]) {
  const { code, stdout, stderr } = await new Deno.Command("deno", {
    args: ["run", "--quiet", "--no-check", "--allow-all", `${ROOT}main.ts`, "evaluate", ...args],
    env: { PARLEY_DATA: folder, PARLEY_EMBEDDINGS: "test:64", NO_COLOR: "1" },
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

const FILES = Object.entries(SAMPLE).flatMap(([kind, paths]) => [`--${kind}`, ...paths]);

async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "parley-evaluate-" });
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("evaluate gives Parley and the baselines the same queries, the same figures for a seed, and leaves nothing behind", () =>
  inFolder(async (folder) => {
    const run = async () => {
      const { code, stdout, stderr } = await evaluate(folder, [
        ...FILES,
        "--split",
        "rows",
        "--folds",
        "2",
        "--json",
      ]);
      assert.equal(code, 0, stderr);
      return JSON.parse(stdout) as EvaluationReport;
    };
    const first = await run();
    const names = first.methods.map(({ method }) => method);
    assert.deepEqual(names.sort(), [
      "EASE",
      "item-kNN",
      "parley",
      "popularity",
      "tf-idf conversation-kNN",
      "user-kNN",
    ]);
    assert.equal(first.folds, 2);
    assert.ok(first.queries > 50);
    for (const { method, metrics, by_kind, coverage } of first.methods) {
      assert.equal(by_kind.reduce((sum, { queries }) => sum + queries, 0), first.queries, method);
      assert.ok(coverage > 0 && coverage <= 1);
      for (const { mean, low, high } of Object.values(metrics)) {
        assert.ok(0 <= low && low <= mean && mean <= high && high <= 1, method);
      }
    }
    const parley = first.methods.find(({ method }) => method === "parley")!;
    assert.deepEqual(Object.keys(parley.against), ["popularity", "tf-idf conversation-kNN"]);
    assert.ok(
      parley.against["popularity"]!.ndcg_10.low > 0,
      "the sample's users get better answers than popular ones",
    );
    assert.deepEqual(await run(), first);
    assert.deepEqual([...Deno.readDirSync(folder)], []);
  }));

Deno.test("evaluate says what is wrong: no events, a split that is none, nothing to find", () =>
  inFolder(async (folder) => {
    const none = await evaluate(folder, ["--messages", ...SAMPLE.messages]);
    assert.equal(none.code, 2);
    assert.match(none.stderr, /an evaluation needs events: give --events, or set PARLEY_EVENTS/);
    const split = await evaluate(folder, [...FILES, "--split", "weeks"]);
    assert.equal(split.code, 2);
    assert.match(split.stderr, /it must be one of rows, conversations, time, last, users/);
    Deno.writeTextFileSync(`${folder}/e.ndjson`, "");
    const empty = await evaluate(folder, ["--events", `${folder}/e.ndjson`]);
    assert.equal(empty.code, 2);
    assert.match(empty.stderr, /there is nothing to find by --split time/);
  }));
