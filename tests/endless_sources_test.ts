import assert from "node:assert/strict";
import { ROOT } from "./fixtures/flow.ts";
import { until } from "./fixtures/until.ts";

/** Less than the 10 s that other tasks may continue after a shutdown. */
const AT_ONCE_MS = 5_000;

interface Pipeline {
  readonly folder: string;
  readonly child: Deno.ChildProcess;
  /** What it has printed on stderr so far. */
  stderr(): string;
}

/** Runs `deno task pipeline --messages in.pipe`, where in.pipe is a pipe that has no writer yet. */
async function withPipe(body: (pipeline: Pipeline) => Promise<void>, env: Record<string, string> = {}) {
  const folder = await Deno.makeTempDir({ prefix: "parley-endless-" });
  await new Deno.Command("mkfifo", { args: [`${folder}/in.pipe`] }).output();
  const { tasks } = JSON.parse(Deno.readTextFileSync(`${ROOT}deno.json`));
  const allowed = tasks.pipeline.command.split(" ").filter((word: string) => word.startsWith("--allow-"));
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", ...allowed, `${ROOT}main.ts`, "pipeline", "--messages", "in.pipe"],
    cwd: folder,
    env: { NO_COLOR: "1", PARLEY_EMBEDDINGS: "test:64", ...env },
    stdout: "null",
    stderr: "piped",
  }).spawn();
  let printed = "";
  const reading = child.stderr.pipeThrough(new TextDecoderStream())
    .pipeTo(new WritableStream({ write: (text) => void (printed += text) }));
  try {
    await body({ folder, child, stderr: () => printed });
  } finally {
    await reading;
    await Deno.remove(folder, { recursive: true });
  }
}

/** Ends the run by a signal; returns its exit code and how long that took. */
async function end({ child }: Pipeline): Promise<{ code: number; ms: number }> {
  const start = performance.now();
  child.kill("SIGTERM");
  const { code } = await child.status;
  return { code, ms: performance.now() - start };
}

const spooled = (folder: string) =>
  Array.from(Deno.readDirSync(`${folder}/.parley/artifacts`))
    .flatMap(({ name }) => Array.from(Deno.readDirSync(`${folder}/.parley/artifacts/${name}/ingest`)));

Deno.test("SIGTERM ends a run at once that waits for a pipe's writer", () =>
  withPipe(async (pipeline) => {
    await until(() => pipeline.stderr().includes("ingest: started"));
    await new Promise((resume) => setTimeout(resume, 500));
    const { code, ms } = await end(pipeline);
    assert.equal(code, 130, pipeline.stderr());
    assert.ok(ms < AT_ONCE_MS, `${ms} ms`);
  }));

Deno.test("SIGTERM ends a run at once that reads a pipe without end, and nothing of it stays spooled", () =>
  withPipe(async (pipeline) => {
    const { folder } = pipeline;
    const writing = new Deno.Command("bash", {
      args: ["-c", `yes '{"a":1}' > ${folder}/in.pipe`],
      stderr: "null",
    }).output();
    await until(() => {
      try {
        return spooled(folder).length > 0;
      } catch {
        return false;
      }
    });
    const { code, ms } = await end(pipeline);
    await writing;
    assert.equal(code, 130, pipeline.stderr());
    assert.ok(ms < AT_ONCE_MS, `${ms} ms`);
    assert.deepEqual(spooled(folder), []);
  }));

Deno.test("a source without end is left out at the limit, which is named", () =>
  withPipe(async ({ folder, child, stderr }) => {
    await new Deno.Command("bash", {
      args: ["-c", `yes '{"a":1}' > ${folder}/in.pipe`],
      stderr: "null",
    }).output();
    assert.equal((await child.status).code, 1);
    assert.match(stderr(), /in\.pipe is larger than 0\.01 GB, which PARLEY_MAX_SOURCE_GB sets/);
    assert.deepEqual(spooled(folder), []);
  }, { PARLEY_MAX_SOURCE_GB: "0.01" }));
