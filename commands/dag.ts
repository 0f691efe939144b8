import { basename, styleText } from "../deps.ts";
import type { Config } from "../lib/config.ts";
import { ParleyError } from "../lib/core/errors.ts";
import { absolute } from "../lib/core/parse_url.ts";
import type { JsonObject } from "../lib/core/types.ts";
import { topological } from "../lib/dag/graph.ts";
import { dagsOf, faultReason } from "../tasks/own_dags.ts";
import type { OwnDag } from "../tasks/public.ts";
import { EXIT, exitCodeOf } from "./exit.ts";
import { parseDate, parseParam } from "./run.ts";
import { openTestStores, type TestedRun } from "./testing.ts";

const NAME = /^[a-z][a-z0-9_]*$/;

/** Writes a dag with comments, and its test, into the folder of `PARLEY_DAGS`, by default `dags` here. */
export async function newDag(config: Config, name: string): Promise<number> {
  if (!NAME.test(name)) {
    throw new ParleyError(
      "invalid",
      `"${name}" is no name of a dag: use small letters, digits and _, as in stale_campaigns`,
    );
  }
  const folder = config.dags ?? `${Deno.cwd()}/dags`;
  const files = {
    [`${folder}/${name}.ts`]: await example("example.ts", name),
    [`${folder}/${name}_test.ts`]: await example("example_test.ts", name),
  };
  await Deno.mkdir(folder, { recursive: true });
  for (const [path, text] of Object.entries(files)) {
    try {
      await Deno.writeTextFile(path, text, { createNew: true });
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
      throw new ParleyError("invalid", `${path} exists: choose another name`);
    }
  }
  const [path, test] = Object.keys(files);
  console.log(`${path} and ${test} are written. Next:`);
  if (config.dags === null) console.log("  set PARLEY_DAGS=./dags in .env, so that Parley finds the folder");
  console.log(`  deno task dag test ${path}`);
  console.log(`  deno task test ${test}`);
  console.log(`  deno task pipeline run ${name}`);
  return EXIT.ok;
}

interface TestOptions {
  /** Which dag, if the file exports several. */
  readonly dag?: string;
  /** `name=value`, the value as JSON, else as text. */
  readonly param: readonly string[];
  /** The time that the tasks see, and the logical date; default now. */
  readonly date?: string;
  readonly empty: boolean;
  readonly json: boolean;
}

/** Checks the types of a file of dags, and runs one of its dags on temporary stores that hold the sample. */
export async function testDag(config: Config, file: string, options: TestOptions): Promise<number> {
  const path = absolute(file, Deno.cwd());
  if (!await hasRightTypes(path)) return EXIT.failed;
  const dag = await dagIn(path, options.dag);
  const params: JsonObject = Object.fromEntries(options.param.map(parseParam));
  const now = options.date === undefined ? {} : { now: parseDate(options.date) };
  await using stores = await openTestStores({ sample: !options.empty, ...now });
  const run = await stores.run(dag, { params, secrets: config.dag_secrets });
  console.log(options.json ? JSON.stringify(run) : report(dag, run));
  return exitCodeOf(run.outcome);
}

async function hasRightTypes(path: string): Promise<boolean> {
  const config = decodeURIComponent(new URL("../deno.json", import.meta.url).pathname);
  const args = ["check", "--quiet", "--config", config, path];
  return (await new Deno.Command("deno", { args, stdin: "null", stdout: "inherit" }).spawn().status).success;
}

async function dagIn(path: string, id: string | undefined): Promise<OwnDag> {
  let dags: OwnDag[];
  try {
    dags = await dagsOf(path);
  } catch (error) {
    throw new ParleyError("invalid", `${path} cannot be used: ${faultReason(error, path)}`, { cause: error });
  }
  const ids = dags.map((dag) => dag.id).join(", ");
  const dag = id === undefined && dags.length === 1 ? dags[0] : dags.find((one) => one.id === id);
  if (dag !== undefined) return dag;
  throw new ParleyError("invalid", `${basename(path)} has the dags ${ids}: choose one by --dag`);
}

function report(dag: OwnDag, { outcome, error, tasks }: TestedRun): string {
  const lines = topological(dag.tasks).flatMap((id) => {
    const { state, output, error, log } = tasks[id]!;
    const left = output === null ? "" : `  ${JSON.stringify(output)}`;
    return [
      `${styleText("bold", id)}: ${state}${left}`,
      ...log.map((line) => `  ${line}`),
      ...error === null ? [] : [`  ${error}`],
    ];
  });
  return [...lines, `${dag.id}: ${outcome}${error === null ? "" : ` (${error})`}`].join("\n");
}

/** The bundled example under another name. */
async function example(file: string, name: string): Promise<string> {
  const text = await Deno.readTextFile(new URL(`../sample/dags/${file}`, import.meta.url));
  return text.replaceAll(/\bexample\b/g, name);
}
