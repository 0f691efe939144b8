/**
 * Distinct messages a second, and a CPU second, through the bundled model by sessions, next to Python's onnxruntime with
 * the same file on the same cores, in rounds that take turns; whether their vectors agree; load time; peak memory of ten
 * times the texts; what batches of unquantised weights are worth; and how often a paraphrase is nearer than a sentence
 * that shares its words. Each measurement is a process of its own. Needs Python 3 and PyPI for the comparison; without
 * them it is left out.
 *
 *     deno task bench embed
 */
import { openEmbedder } from "../../lib/embed/open.ts";
import { BGE } from "../fixtures/models.ts";
import { TRIPLES } from "../fixtures/pairs.ts";
import { dot } from "../fixtures/vectors.ts";

const ROOT = decodeURIComponent(new URL("../../", import.meta.url).pathname);
const SOURCES = [`${ROOT}../shared/data/redial_dev/messages.jsonl`, `${ROOT}sample/messages.ndjson`];
const TINY = `${ROOT}../shared/models/tiny-roberta-1024`;
const PACKAGES = ["onnxruntime==1.32.0", "tokenizers==0.23.3", "numpy==2.4.6"];
const COUNT = 1_000;
/** Texts a call, as the pipeline has them. */
const BATCH = 256;
const ROUNDS = 3;

interface Measured {
  readonly load_ms: number;
  readonly seconds: number;
  /** Of all threads, which unlike the above does not depend on what else the machine does. */
  readonly cpu_seconds: number;
  readonly peak_mb: number;
  readonly vectors: number[][];
}

/** One way of embedding, with what each round came to. */
interface Way {
  readonly name: string;
  readonly run: (texts: string) => Promise<Measured>;
  readonly rounds: Measured[];
}

/** In a process of its own: `embed.ts --measure MODEL TEXTS.json SESSIONS`. */
async function measure(model: string, path: string, sessions: number): Promise<Measured> {
  const texts: string[] = JSON.parse(await Deno.readTextFile(path));
  const opening = performance.now();
  const embedder = await openEmbedder({ url: `onnx:${model}`, sessions });
  await embedder.embed({ texts: Array.from({ length: 16 * sessions }, (_, at) => `warm up ${at}`) });
  const [start, cpu] = [performance.now(), await cpuSeconds()];
  const vectors: number[][] = [];
  for (let at = 0; at < texts.length; at += BATCH) {
    const made = await embedder.embed({ texts: texts.slice(at, at + BATCH) });
    if (at < 20) vectors.push(...made.slice(0, 20).map((vector) => Array.from(vector)));
  }
  const [seconds, cpu_seconds] = [(performance.now() - start) / 1_000, await cpuSeconds() - cpu];
  await embedder.close();
  const peak = /VmHWM:\s+(\d+)/.exec(await Deno.readTextFile("/proc/self/status"))?.[1];
  return { load_ms: start - opening, seconds, cpu_seconds, peak_mb: Number(peak) / 1_024, vectors };
}

/** Of this process so far (Linux). */
async function cpuSeconds(): Promise<number> {
  const fields = (await Deno.readTextFile("/proc/self/stat")).split(") ")[1]!.split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

async function json(command: string, args: string[]): Promise<Measured> {
  const { stdout, success } = await new Deno.Command(command, { args, stdout: "piped", stderr: "inherit" })
    .output();
  if (!success) throw new Error(`${command} failed`);
  return JSON.parse(new TextDecoder().decode(stdout));
}

const parley = (model: string, sessions: number): Way => ({
  name: `Parley, ${sessions} session(s), one text at a time`,
  run: (texts) =>
    json(Deno.execPath(), [
      "run",
      "-A",
      "--quiet",
      import.meta.filename!,
      "--measure",
      model,
      texts,
      `${sessions}`,
    ]),
  rounds: [],
});

const python = (bin: string, model: string, sessions: number, threads: number, batch: number): Way => ({
  name: `Python, ${sessions} session(s), ${
    threads === 0 ? "default threads" : `${threads} thread each`
  }, batch ${batch}`,
  run: (texts) =>
    json(bin, [
      `${ROOT}tests/bench/lib/python_embed.py`,
      model,
      texts,
      `${sessions}`,
      `${threads}`,
      `${batch}`,
    ]),
  rounds: [],
});

/** A Python with its packages in a folder; null if it cannot be installed. */
async function virtualEnvironment(folder: string): Promise<string | null> {
  const bin = `${folder}/venv/bin/python`;
  try {
    for (
      const [command, args] of [["python3", ["-m", "venv", `${folder}/venv`]], [bin, [
        "-m",
        "pip",
        "install",
        "--quiet",
        ...PACKAGES,
      ]]] as const
    ) {
      const { success } = await new Deno.Command(command, { args: [...args], stdout: "null", stderr: "null" })
        .output();
      if (!success) throw new Error(command);
    }
    return bin;
  } catch {
    console.log(`no comparison: python3 with venv and ${PACKAGES.join(", ")} cannot be had`);
    return null;
  }
}

const median = (values: number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;

/** Takes turns, so that what else the machine does falls on all alike. */
async function race(ways: readonly Way[], texts: string, count: number): Promise<void> {
  for (let round = 0; round < ROUNDS; round++) {
    for (const way of ways) way.rounds.push(await way.run(texts));
  }
  const first = ways[0]!.rounds;
  for (const { name, rounds } of ways) {
    const rate = median(rounds.map(({ seconds }) => count / seconds));
    const ratio = median(rounds.map(({ seconds }, at) => first[at]!.seconds / seconds));
    const per_cpu = median(rounds.map(({ cpu_seconds }) => count / cpu_seconds));
    const nearness = Math.min(
      ...rounds[0]!.vectors.map((v, at) =>
        dot(Float32Array.from(v), Float32Array.from(first[0]!.vectors[at]!))
      ),
    );
    console.log(
      `  ${name.padEnd(52)}${rate.toFixed(0).padStart(6)}/s${ratio.toFixed(2).padStart(6)} ×` +
        `${per_cpu.toFixed(0).padStart(6)} a CPU second` +
        `${median(rounds.map(({ load_ms }) => load_ms)).toFixed(0).padStart(7)} ms to load` +
        `${median(rounds.map(({ peak_mb }) => peak_mb)).toFixed(0).padStart(6)} MB at most   cosine ≥ ${
          nearness.toFixed(4)
        }`,
    );
  }
}

async function distinctTexts(): Promise<string[]> {
  for (const path of SOURCES) {
    const content = await Deno.readTextFile(path).catch(() => null);
    if (content === null) continue;
    const texts = content.split("\n").filter((line) => line !== "").map((line): string =>
      JSON.parse(line).message
    );
    return [...new Set(texts.filter((text) => text.trim() !== ""))];
  }
  throw new Error("there is no text to embed");
}

async function sanity(): Promise<void> {
  const embedder = await openEmbedder({ url: `onnx:${BGE}`, sessions: 1 });
  console.log("\na paraphrase next to a sentence that shares words (the bundled model is an English one)");
  for (const [language, triples] of Object.entries(TRIPLES)) {
    const vectors = await embedder.embed({ texts: triples.flat() });
    const near = triples.map((_, at) => dot(vectors[3 * at]!, vectors[3 * at + 1]!));
    const far = triples.map((_, at) => dot(vectors[3 * at]!, vectors[3 * at + 2]!));
    const right = near.filter((score, at) => score > far[at]!).length;
    const mean = (scores: number[]) =>
      (scores.reduce((sum, score) => sum + score, 0) / scores.length).toFixed(2);
    console.log(
      `  ${language.padEnd(20)}${right} of ${triples.length} right   mean cosine ${mean(near)} and ${
        mean(far)
      }`,
    );
  }
  await embedder.close();
}

async function main(folder: string): Promise<void> {
  const texts = await distinctTexts();
  const path = `${folder}/texts.json`;
  await Deno.writeTextFile(path, JSON.stringify(texts.slice(0, COUNT)));
  const count = Math.min(COUNT, texts.length);
  const cores = navigator.hardwareConcurrency;
  const bin = await virtualEnvironment(folder);
  console.log(`${count} distinct messages, ${cores} cores, medians of ${ROUNDS} rounds`);
  const ours = [...new Set([cores, 1])].map((sessions) => parley(BGE, sessions));
  const theirs = bin === null ? [] : [
    python(bin, BGE, cores, 1, 1),
    python(bin, BGE, 1, 1, 1),
    python(bin, BGE, 1, 0, 32),
  ];
  await race([...ours, ...theirs], path, count);

  const many = `${folder}/many.json`;
  await Deno.writeTextFile(
    many,
    JSON.stringify(Array.from({ length: 10 * 200 }, (_, at) => `${texts[at % 200]} ${at}`)),
  );
  await Deno.writeTextFile(path, JSON.stringify(texts.slice(0, 200)));
  const [few, tenfold] = [await parley(BGE, cores).run(path), await parley(BGE, cores).run(many)];
  console.log(`\npeak memory of 2,000 texts: ${(tenfold.peak_mb / few.peak_mb).toFixed(2)} × that of 200`);

  const tiny = await Deno.stat(TINY).then(() => true, () => false);
  if (tiny && bin !== null) {
    await Deno.writeTextFile(path, JSON.stringify(texts.slice(0, COUNT)));
    console.log("\nwhat a batch is worth in fp32, on one thread of a small model of 1,024 dimensions");
    await race(
      [python(bin, TINY, 1, 1, 1), python(bin, TINY, 1, 1, 8), python(bin, TINY, 1, 1, 32)],
      path,
      count,
    );
  }
  await sanity();
}

if (Deno.args[0] === "--measure") {
  const [, model, texts, sessions] = Deno.args;
  console.log(JSON.stringify(await measure(model!, texts!, Number(sessions))));
} else {
  const folder = await Deno.makeTempDir({ prefix: "parley-bench-" });
  try {
    await main(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
