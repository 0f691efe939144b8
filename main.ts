import { Command, CommanderError } from "./deps.ts";
import { tightenModes } from "./commands/data_folder.ts";
import { EXIT, printError } from "./commands/exit.ts";
import {
  addAirflow,
  addDag,
  addEvaluate,
  addExport,
  addPipeline,
  loaded,
  positive,
  type Verb,
} from "./commands/pipeline.ts";
import { addUser } from "./commands/user.ts";
import { VERSION } from "./commands/version.ts";
import { ParleyError } from "./lib/core/errors.ts";
import { loadConfig } from "./lib/config.ts";
import { readEnvironment } from "./lib/environment.ts";

/** The command line: parses a verb and calls one function. Each verb's module loads when it is used. */
export function program(
  finish: (code: number) => void,
  params: string,
  environment = readEnvironment,
): Command {
  const verb: Verb = (body) => async (...args) => {
    const config = loadConfig(environment());
    tightenModes(config.data);
    finish(await body(config, ...args));
  };
  const parley = new Command("parley")
    .description("Recommends campaigns to users, based on what they say.")
    .version(VERSION)
    .exitOverride()
    // An option belongs to the command that it follows: `anomalies` and `anomalies ack` both have --json.
    .enablePositionalOptions()
    .addHelpText("after", EXIT_CODES);

  parley.command("start")
    .description("load configured sources or the sample, then answer over HTTP and run the schedule")
    .action(verb(loaded(() => import("./commands/start.ts"), "start")));
  parley.command("serve")
    .description("run the API only")
    .action(verb(loaded(() => import("./commands/serve.ts"), "serve")));
  parley.command("schedule")
    .description("run the scheduler only; each run is a separate process")
    .action(verb(loaded(() => import("./commands/schedule.ts"), "schedule")));
  addPipeline(parley, verb, params);
  addEvaluate(parley, verb);
  addExport(parley, verb);
  addUser(parley, verb);
  addDag(parley, verb);
  addAirflow(parley, verb);
  parley.command("audit")
    .description("print who wrote or administered what over HTTP, the newest last")
    .option("--limit <n>", "how many entries", positive, 50)
    .option("--json", "as JSON", false)
    .action(verb(loaded(() => import("./commands/audit.ts"), "showAudit")));
  parley.command("doctor")
    .description("check configuration, stores and their consistency, and say what to do")
    .option("--json", "as JSON", false)
    .action(verb(loaded(() => import("./commands/doctor.ts"), "doctor")));
  parley.command("backup")
    .description(
      "copy the embedded stores, even while they are in use; names stores on servers (exit code 4)",
    )
    .option(
      "--to <folder>",
      "target: an empty or new folder; default: backups/ in the data directory",
    )
    .action(
      verb(async (config, options: { to?: string }) =>
        (await import("./commands/backup.ts")).backup(config, options.to)
      ),
    );
  parley.command("restore")
    .description("replace the embedded stores by a backup, in which users who were erased since are erased")
    .requiredOption("--from <folder>", "the backup")
    .action(
      verb(async (config, options: { from: string }) =>
        (await import("./commands/restore.ts")).restore(config, options.from)
      ),
    );
  parley.command("move")
    .description("copy all data to other stores, and compare; the source is not changed")
    .option("--from <place>", "as --to; default: the stores in use")
    .requiredOption("--to <place>", "embedded, postgres://… for all stores, or a file of settings like .env")
    .option("--json", "as JSON", false)
    .action(
      verb(async (config, options: { from?: string; to: string; json: boolean }) =>
        (await import("./commands/move.ts")).moveStores(config, { ...options, environment: environment() })
      ),
    );
  parley.command("reset")
    .description("remove data")
    .option("--sample", "remove only the data of the bundled sample")
    .option(
      "--all",
      "remove everything in every store, on servers too, and Parley's files in the data directory",
    )
    .option(
      "--stores <names>",
      "remove everything in these stores, and nothing else, such as documents,graph: to empty the target of a move",
    )
    .option("--yes", "do not ask for confirmation")
    .action(verb(loaded(() => import("./commands/reset.ts"), "reset")));
  return parley;
}

const EXIT_CODES = `
Exit codes: ${EXIT.ok} done, ${EXIT.failed} failed, ${EXIT.usage} wrong usage or configuration, ` +
  `${EXIT.cancelled} cancelled, ${EXIT.partial} done in part (backup, reset), ${EXIT.interrupted} interrupted.
Settings come from the environment and from .env; see .env.example.`;

/** Dags are read only for help. With a wrong configuration, help is shown without their params. */
async function paramsHelp(environment: typeof readEnvironment): Promise<string> {
  try {
    return await (await import("./commands/inspect.ts")).allParams(loadConfig(environment()));
  } catch (error) {
    if (error instanceof ParleyError) return `The params of the dags are not shown: ${error.message}`;
    throw error;
  }
}

function isRunTask([first, second]: readonly string[]): boolean {
  return first === "pipeline" && second === "run-task";
}

/** Runs a command, prints what it fails with, and returns its exit code. */
export async function main(args: readonly string[], environment = readEnvironment): Promise<number> {
  let code: number = EXIT.ok;
  try {
    const params = args.includes("--help") ? await paramsHelp(environment) : "";
    await program((finished) => code = finished, params, environment).parseAsync(args, { from: "user" });
  } catch (error) {
    code = error instanceof CommanderError
      ? (error.exitCode === 0 ? EXIT.ok : EXIT.usage)
      : printError(error);
    // An external engine would retry a wrong call.
    if (isRunTask(args) && code !== EXIT.ok) {
      const { taskErrorCode } = await import("./commands/run_task.ts");
      code = code === EXIT.usage ? EXIT.task_final : taskErrorCode(error);
    }
  }
  return code;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
