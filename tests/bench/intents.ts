/**
 * The intent classifier on Banking77, its own split, with the bundled model's vectors:
 * `deno run --allow-all tests/bench/intents.ts [data folder]`. Prints accuracy, calibration, out-of-scope AUROC with 15
 * of the 77 intents withheld, accuracy with five examples an intent, and the share of the test texts that is kept, also if examples
 * are paraphrases of each other; first, how well neighbours tell a fifth of the
 * training texts by the others at some shrinkages, which is what that of the whitening was chosen by. The vectors of the 13,083 texts are kept in
 * the system's folder for temporary files, so that only the first run embeds.
 */
import { join } from "../../deps.ts";
import { compareText } from "../../lib/core/text.ts";
import { openEmbedder } from "../../lib/embed/open.ts";
import { areaUnderCurve, calibrationError, scopeScore } from "../../lib/intents/calibrate.ts";
import { probabilitiesOf, scoreIntents, topClasses } from "../../lib/intents/oos_features.ts";
import { classify } from "../../lib/intents/classifier.ts";
import type { Example } from "../../lib/intents/folds.ts";
import { classOffsetsOf, fit, type FittedModel } from "../../lib/intents/fit.ts";
import { matrixOf } from "../../lib/ml/matrix.ts";
import { vote } from "../../lib/ml/nearest_neighbours.ts";
import { fitWhitening, whiten, whitenAll } from "../../lib/ml/whitening.ts";
import { random } from "../fixtures/rows.ts";
import { examples as madeUp } from "../lib/intents/samples.ts";
import process from "node:process";

const ROOT = decodeURIComponent(new URL("../../", import.meta.url).pathname);
const MODEL = `${ROOT}models/bge-small-en-v1.5`;
const DATA = Deno.args[0] ?? `${ROOT}../shared/data/banking77`;
const CACHE = join(Deno.env.get("TMPDIR") ?? "/tmp", "parley-bench-banking77");
const SEEDS = [1, 2, 3, 4, 5];
const WITHHELD = 15;
const FEW = 5;
/** Intents and examples of each, of which groups of so many are nearest neighbours. */
const KNOWN = 20;
const TEN = 10;
const GROUPS = [1, 2, 5, 10];
const SHRINKAGES = [0.3, 0.5, 0.65, 0.8, 0.9, 1];

/** Rows of a CSV with quoted fields, without its heading. */
function rowsOf(csv: string): string[][] {
  const rows: string[][] = [[]];
  for (const [, quoted, plain, end] of csv.matchAll(/(?:"((?:[^"]|"")*)"|([^,\r\n]*))(,|\r?\n|$)/g)) {
    rows.at(-1)!.push(quoted?.replaceAll('""', '"') ?? plain ?? "");
    if (end !== ",") rows.push([]);
  }
  return rows.slice(1).filter((row) => row.length === 2);
}

async function vectorsOf(part: string, texts: readonly string[]): Promise<Float32Array[]> {
  const file = `${CACHE}/${part}.f32`;
  const cached = await Deno.readFile(file).catch(() => null);
  const embedder = await openEmbedder({ url: `onnx:${MODEL}` });
  const { dimension } = embedder.model;
  try {
    if (cached?.length === texts.length * dimension * 4) {
      const all = new Float32Array(cached.buffer);
      return texts.map((_, n) => all.slice(n * dimension, (n + 1) * dimension));
    }
    console.log(`embedding ${texts.length} texts of ${part} …`);
    const vectors = await embedder.embed({ texts });
    await Deno.mkdir(CACHE, { recursive: true });
    const all = new Float32Array(texts.length * dimension);
    vectors.forEach((vector, n) => all.set(vector, n * dimension));
    await Deno.writeFile(file, new Uint8Array(all.buffer));
    return vectors;
  } finally {
    await embedder.close();
  }
}

async function load(part: string): Promise<Example[]> {
  const rows = rowsOf(await Deno.readTextFile(`${DATA}/${part}.csv`));
  const vectors = await vectorsOf(part, rows.map(([text]) => text!));
  return rows.map(([text, intent], n) => ({ intent: intent!, key: text!, vector: vectors[n]! }));
}

function shuffled<T>(items: readonly T[], next: () => number): T[] {
  const list = [...items];
  for (let i = list.length - 1; i > 0; i--) {
    const j = Math.floor(next() * (i + 1));
    [list[i], list[j]] = [list[j]!, list[i]!];
  }
  return list;
}

function accuracy(fitted: FittedModel, test: readonly Example[]): number {
  const right = test.filter(({ intent, vector }) =>
    classify(fitted, vector, { top: 1 }).intents[0]!.intent === intent
  );
  return right.length / test.length;
}

/** The share of texts that are found to be in scope. */
function kept(fitted: FittedModel, test: readonly Example[]): number {
  return test.filter(({ vector }) => classify(fitted, vector, { top: 1 }).intent !== null).length /
    test.length;
}

function cosine(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
const show = (value: number) => value.toFixed(4);

/** The share of every fifth training text that the neighbours among the others tell right, at each shrinkage. */
async function shrinkages(train: readonly Example[]): Promise<void> {
  const intents = [...new Set(train.map(({ intent }) => intent))].sort();
  const asked = train.filter((_, n) => n % 5 === 0);
  const known = train.filter((_, n) => n % 5 !== 0).sort((a, b) => compareText(a.intent, b.intent));
  const classes = Int32Array.from(known, ({ intent }) => intents.indexOf(intent));
  const rows = matrixOf(known.map(({ vector }) => vector), known[0]!.vector.length);
  const [starts, among] = [classOffsetsOf(classes, intents.length), [...intents.keys()]];
  for (const shrinkage of SHRINKAGES) {
    const whitening = await fitWhitening(rows, classes, { shrinkage });
    const white = await whitenAll(whitening, rows);
    const right = asked.filter(({ intent, vector }) => {
      const { shares } = vote(whiten(whitening, Float64Array.from(vector)), white, starts, among);
      return intents[topClasses(shares, 1)[0]!] === intent;
    });
    console.log(`  shrinkage ${shrinkage}: neighbours alone tell ${show(right.length / asked.length)}`);
  }
}

async function whole(train: readonly Example[], test: readonly Example[]): Promise<void> {
  let start = performance.now();
  let [turn, longest] = [start, 0];
  const timer = setInterval(() => {
    longest = Math.max(longest, performance.now() - turn);
    turn = performance.now();
  }, 1);
  const fitted = await fit({ examples: train });
  clearInterval(timer);
  console.log(
    `\nall ${train.length} examples: fitted in ${
      ((performance.now() - start) / 1_000).toFixed(1)
    } s; other work ` +
      `waited ${longest.toFixed(0)} ms at most`,
  );
  const tops = test.map(({ intent, vector }) => {
    const probabilities = probabilitiesOf(
      scoreIntents(fitted.learnt, vector).logits,
      fitted.calibration.temperature,
    );
    const [k] = topClasses(probabilities, 1);
    return { confidence: probabilities[k!]!, right: fitted.intents[k!] === intent };
  });
  start = performance.now();
  console.log(
    `  accuracy ${show(accuracy(fitted, test))}, ECE ${show(calibrationError(tops))}, ${
      show(kept(fitted, test))
    } kept`,
  );
  console.log(
    `  ${show((performance.now() - start) / test.length)} ms per text in addition to the embedding`,
  );
  console.log(
    `  as held out from the training texts: ${JSON.stringify(fitted.figures)} ${
      JSON.stringify(fitted.calibration)
    }`,
  );
}

async function withheld(
  train: readonly Example[],
  test: readonly Example[],
  seed: number,
): Promise<number[]> {
  const intents = [...new Set(train.map(({ intent }) => intent))].sort();
  const out = new Set(shuffled(intents, random(seed)).slice(0, WITHHELD));
  const fitted = await fit({ examples: train.filter(({ intent }) => !out.has(intent)) });
  const score = ({ vector }: Example) =>
    scopeScore(scoreIntents(fitted.learnt, vector), fitted.calibration.scope);
  const inside = test.filter(({ intent }) => !out.has(intent)).map(score);
  const outside = test.filter(({ intent }) => out.has(intent)).map(score);
  const known = train.filter(({ intent }) => !out.has(intent));
  const nearest = ({ vector }: Example) =>
    known.reduce((most, one) => Math.max(most, cosine(one.vector, vector)), -1);
  const neighbour = areaUnderCurve(
    test.filter(({ intent }) => !out.has(intent)).map(nearest),
    test.filter(({ intent }) => out.has(intent)).map(nearest),
  );
  const { threshold } = fitted.calibration;
  const share = inside.filter((one) => one >= threshold).length / inside.length;
  const left = outside.filter((one) => one < threshold).length / outside.length;
  const area = areaUnderCurve(inside, outside);
  console.log(
    `  seed ${seed}: AUROC ${show(area)} (the nearest neighbour's cosine alone: ${
      show(neighbour)
    }); at the threshold ${show(share)} of in scope kept, ` +
      `${show(left)} of out of scope left out`,
  );
  return [area, share, left, neighbour];
}

async function few(
  train: readonly Example[],
  test: readonly Example[],
  seed: number,
): Promise<[number, number]> {
  const next = random(seed);
  const byIntent = [...Map.groupBy(train, ({ intent }) => intent).values()];
  const examples = byIntent.flatMap((own) => shuffled(own, next).slice(0, FEW));
  const fitted = await fit({ examples });
  return [accuracy(fitted, test), kept(fitted, test)];
}

/** `count` examples: one by chance and those that are nearest to it, `size` in all, then the next so. */
function inGroups(own: readonly Example[], next: () => number, { count, size }: Grouping): Example[] {
  let left = shuffled(own, next);
  const chosen: Example[] = [];
  while (chosen.length < count && left.length > 0) {
    const seed = left[0]!;
    const nearest = left.toSorted((a, b) => cosine(b.vector, seed.vector) - cosine(a.vector, seed.vector))
      .slice(0, Math.min(size, count - chosen.length));
    chosen.push(...nearest);
    left = left.filter((one) => !nearest.includes(one));
  }
  return chosen;
}

interface Grouping {
  readonly count: number;
  readonly size: number;
}

/** The shares of test texts in scope that are kept, and of those of other intents that are left out. */
async function grouped(
  train: readonly Example[],
  test: readonly Example[],
  seed: number,
  grouping: Grouping,
): Promise<[number, number]> {
  const next = random(seed);
  const intents = shuffled([...new Set(train.map(({ intent }) => intent))].sort(), next);
  const [known, out] = [intents.slice(0, KNOWN), intents.slice(KNOWN, KNOWN + WITHHELD)];
  const examples = known.flatMap((intent) =>
    inGroups(train.filter((one) => one.intent === intent), next, grouping)
  );
  const fitted = await fit({ examples });
  const of = (among: readonly string[]) => test.filter(({ intent }) => among.includes(intent));
  return [kept(fitted, of(known)), 1 - kept(fitted, of(out))];
}

/** The fit of many intents, to made-up vectors. */
async function large({ intents, each }: { intents: number; each: number }): Promise<void> {
  const examples = madeUp({ intents, each, dimension: 384 });
  const [start, used] = [performance.now(), process.cpuUsage()];
  let [lastTold, silence] = [start, 0];
  const onProgress = () => {
    silence = Math.max(silence, performance.now() - lastTold);
    lastTold = performance.now();
  };
  await fit({ examples, onProgress });
  const { user, system } = process.cpuUsage(used);
  console.log(
    `${examples.length} made-up examples of ${intents} intents: fitted in ${
      ((performance.now() - start) / 1_000).toFixed(1)
    } s, ${((user + system) / 1e6).toFixed(1)} s of CPU; progress reported every ${
      (silence / 1_000).toFixed(1)
    } s or sooner`,
  );
}

await large({ intents: 150, each: 100 });
const there = await Deno.stat(`${DATA}/train.csv`).then(() => true, () => false);
if (!there) {
  console.log(`there is no Banking77 at ${DATA}: give the folder of its train.csv and test.csv`);
  Deno.exit(0);
}
const [train, test] = [await load("train"), await load("test")];
console.log("\nevery fifth training text, by the others");
await shrinkages(train);
await whole(train, test);
console.log(`\n${WITHHELD} of 77 intents withheld`);
const draws: number[][] = [];
for (const seed of SEEDS) draws.push(await withheld(train, test, seed));
const [area, share, left, neighbour] = [0, 1, 2, 3].map((i) => mean(draws.map((draw) => draw[i]!)));
console.log(
  `  mean: AUROC ${show(area!)} (nearest neighbour ${show(neighbour!)}), kept ${show(share!)}, left out ${
    show(left!)
  }`,
);
const fews: [number, number][] = [];
for (const seed of SEEDS) fews.push(await few(train, test, seed));
console.log(
  `\n${FEW} examples an intent, mean of ${SEEDS.length} draws: accuracy ${
    show(mean(fews.map(([right]) => right)))
  }, ` +
    `${show(mean(fews.map(([, share]) => share)))} kept`,
);
console.log(`\n${TEN} examples of each of ${KNOWN} intents, in groups of nearest neighbours`);
for (const size of GROUPS) {
  const shares: [number, number][] = [];
  for (const seed of SEEDS.slice(0, 3)) shares.push(await grouped(train, test, seed, { count: TEN, size }));
  const [share, left] = [0, 1].map((i) => mean(shares.map((each) => each[i]!)));
  console.log(`  groups of ${size}: kept ${show(share!)}, ${WITHHELD} other intents left out ${show(left!)}`);
}
