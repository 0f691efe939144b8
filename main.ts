import { Command, CommanderError, InvalidArgumentError } from "./deps.ts";
import { EXIT, report } from "./commands/exit.ts";
import { VERSION } from "./commands/version.ts";
import { type Config, loadConfig, readEnvironment } from "./lib/config.ts";

/** The command line: parses a verb and calls one function. Each verb's module loads when it is used. */
function program(finish: (code: number) => void): Command {
  const verb =
    <Options>(body: (config: Config, options: Options) => Promise<number>) => async (options: Options) =>
      finish(await body(loadConfig(readEnvironment()), options));
  const parley = new Command("parley")
    .description("Turns what users say into what they should be shown next.")
    .version(VERSION)
    .exitOverride()
    .addHelpText("after", EXIT_CODES);

  parley.command("start")
    .description("load what there is to load, then answer over HTTP and keep to the schedule")
    .action(verb(async (config) => (await import("./commands/start.ts")).start(config)));
  parley.command("serve")
    .description("the API alone")
    .action(verb(async (config) => (await import("./commands/serve.ts")).serve(config)));
  parley.command("schedule")
    .description("the scheduler alone; each run is a process of its own")
    .action(verb(async (config) => (await import("./commands/schedule.ts")).schedule(config)));
  pipeline(parley, verb);
  parley.command("backup")
    .description("copy the live data directory safely")
    .option("--to <folder>", "where to; default: backups/ in the data directory")
    .action(
      verb(async (config, o: { to?: string }) => (await import("./commands/backup.ts")).backup(config, o.to)),
    );
  parley.command("reset")
    .description("take data out")
    .option("--sample", "only what the bundled sample brought in")
    .option("--all", "everything in the data directory; asks for --yes")
    .option("--yes", "do it without asking")
    .action(
      verb(async (config, o: { sample?: boolean; all?: boolean; yes?: boolean }) =>
        (await import("./commands/reset.ts")).reset(config, { sample: false, all: false, yes: false, ...o })
      ),
    );
  return parley;
}

type Verb = <Options>(
  body: (config: Config, options: Options) => Promise<number>,
) => (options: Options) => Promise<void>;

/** `pipeline` runs the nightly dag when no verb of its own follows. */
function pipeline(parley: Command, verb: Verb): void {
  const load = () => import("./commands/pipeline.ts");
  const command = parley.command("pipeline").description("run the nightly dag now, or look at what it did")
    .addHelpText("after", PIPELINE_HELP);
  command.command("run", { isDefault: true })
    .description("run the nightly dag now, on the sources given, else on the configured ones")
    .option(
      "--messages <path...>",
      'conversations: JSON array, NDJSON, gzipped, a folder, or "-" for stdin',
      [],
    )
    .option("--campaigns <path...>", "campaigns, likewise", [])
    .option("--events <path...>", "engagement events, likewise", [])
    .option("--json", "print the summary as JSON", false)
    .action(
      verb(async (config, o: { messages: string[]; campaigns: string[]; events: string[]; json: boolean }) =>
        (await load()).runNightly(config, { sources: o, json: o.json })
      ),
    );
  command.command("work")
    .description("execute what is queued or was interrupted, then end; what the scheduler calls")
    .action(verb(async (config) => (await load()).workOff(config)));
  command.command("quarantine")
    .description("list the input rows that were refused, with their reasons")
    .option("--run <id>", "of this run only")
    .option("--limit <n>", "at most so many", positive, 50)
    .option("--raw", "with the rows themselves, which may hold personal text", false)
    .option("--json", "one JSON object a line", false)
    .action(
      verb(async (config, o: { run?: string; limit: number; raw: boolean; json: boolean }) =>
        (await load()).listQuarantine(config, o)
      ),
    );
}

function positive(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) {
    throw new InvalidArgumentError("it must be a whole number above 0");
  }
  return value;
}

const PIPELINE_HELP = `
Without a command it runs the nightly dag now: on the configured sources, or on those given, as in
  deno task pipeline --messages chats.ndjson more/ --campaigns campaigns.json --events -
\`deno task pipeline run --help\` tells more.`;

const EXIT_CODES = `
Exit codes: ${EXIT.ok} done, ${EXIT.failed} failed, ${EXIT.usage} wrong usage or configuration, ` +
  `${EXIT.cancelled} cancelled, ${EXIT.interrupted} interrupted.
Settings come from the environment and from .env; see .env.example.`;

if (import.meta.main) {
  let code: number = EXIT.ok;
  try {
    await program((finished) => code = finished).parseAsync(Deno.args, { from: "user" });
  } catch (error) {
    code = error instanceof CommanderError ? (error.exitCode === 0 ? EXIT.ok : EXIT.usage) : report(error);
  }
  Deno.exit(code);
}
