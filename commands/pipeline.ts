import { Argument, type Command, InvalidArgumentError, Option } from "../deps.ts";
import type { Config } from "../lib/config.ts";
import { type Split, SPLITS } from "../lib/evaluate/splits.ts";
import { EXPORT_FORMATS } from "../lib/exports/answer_lines.ts";
import { CLEARABLE } from "../lib/dag/clear_runs.ts";
import { MARKS } from "../lib/dag/mark.ts";
import { REPROCESS } from "../lib/stores/runs/port.ts";
import type { RunOrder } from "./run.ts";

/** Wraps a command's body: reads the configuration, hands on arguments and options, keeps the exit code. */
export type Verb = <Args extends unknown[]>(
  body: (config: Config, ...args: Args) => Promise<number>,
) => (...args: Args) => Promise<void>;

type Body = (config: Config, ...args: never[]) => Promise<number>;

/** The body of a command that is a function of a module, which loads when the command is used. */
export function loaded<Name extends string>(
  load: () => Promise<Readonly<Record<NoInfer<Name>, Body>>>,
  name: Name,
): (config: Config, ...args: unknown[]) => Promise<number> {
  return async (config, ...args) => await (await load())[name](config, ...args as never[]);
}

const JSON_OPTION = ["--json", "as JSON", false] as const;

const inspect = () => import("./inspect.ts");
const control = () => import("./control.ts");
const anomalyVerbs = () => import("./anomalies.ts");

/** `parley pipeline …`. Without a verb it runs the nightly dag. `params` is the text of `run --help` about params. */
export function addPipeline(parley: Command, verb: Verb, params: string): void {
  const pipeline = parley.command("pipeline")
    .description("run a dag now, or inspect runs")
    .addHelpText("after", HELP);
  addRunning(pipeline, verb, params);
  addLooking(pipeline, verb);
  addIntents(pipeline, verb);
  addChanging(pipeline, verb);
}

/** `parley evaluate …`. */
export function addEvaluate(parley: Command, verb: Verb): void {
  parley.command("evaluate")
    .description("measure answers on held-out rows, next to simple baselines")
    .option("--messages <path...>", "conversations; default: the configured sources", [])
    .option("--campaigns <path...>", "campaigns, likewise", [])
    .option("--events <path...>", "engagement events, likewise", [])
    .option("--split <name>", "which choices to hide", splitName, "time")
    .option("--folds <n>", "number of folds of rows and conversations", several, 5)
    .option("--seed <n>", "the same seed gives the same folds and intervals", parseWholeNumber, 0)
    .option(
      "--choose-weights",
      "also choose the sources' weights, for each part of the users on the queries of the others",
      false,
    )
    .option(
      "--keep-vectors <file>",
      "store the texts' vectors in this file, below the data directory, for later evaluations; they are personal data",
    )
    .option("--json", "as JSON", false)
    .addHelpText(
      "after",
      `\nSplits:\n${Object.entries(SPLITS).map(([name, text]) => `  ${name.padEnd(14)} ${text}`).join("\n")}`,
    )
    .action(verb(loaded(() => import("./evaluate.ts"), "evaluate")));
}

/** `parley export …`. */
export function addExport(parley: Command, verb: Verb): void {
  parley.command("export")
    .description("write the answers for all users to a file")
    .addOption(
      new Option("--format <name>", "a line for each answer as JSON, or for each item as CSV")
        .choices(EXPORT_FORMATS).default("ndjson"),
    )
    .option("--k <n>", "the most items of an answer, 1 to 100", positive, 10)
    .option("--active-since <date>", "only users with a message or an event since this day or time", "")
    .option(
      "--out <file>",
      "where the file is moved when it is whole; default: exports/ in the data directory",
    )
    .option("--json", "print the summary as one JSON object", false)
    .action(verb(loaded(() => import("./export.ts"), "exportAnswers")));
}

/** `parley dag …`: for people who write their own. */
export function addDag(parley: Command, verb: Verb): void {
  const dag = parley.command("dag").description("write and test dags of your own");
  dag.command("new <name>")
    .description("write an example dag and its test into the folder of PARLEY_DAGS, by default ./dags")
    .action(verb(loaded(() => import("./dag.ts"), "newDag")));
  dag.command("test <file>")
    .description("check the types of a file of dags, and run one on temporary stores that hold the sample")
    .option("--dag <id>", "which dag, if the file exports several")
    .option("--param <name=value...>", "a param of the dag; the value is JSON, else text", [])
    .option("--date <date>", "the time that its tasks see, and the logical date; default now")
    .option("--empty", "on empty stores", false)
    .option("--json", "as one JSON object", false)
    .action(verb(loaded(() => import("./dag.ts"), "testDag")));
}

/** `parley airflow …`. */
export function addAirflow(parley: Command, verb: Verb): void {
  parley.command("airflow").description("run Parley's dags inside Airflow")
    .command("export")
    .description("write a DAG file for Airflow 2.10 or newer for each dag")
    .option("--dag <id>", "for this dag only")
    .requiredOption("--out <folder>", "where the files are written, such as Airflow's folder of DAGs")
    .action(
      verb(async (config, options: { dag?: string; out: string }) =>
        (await import("./airflow.ts")).exportToAirflow(config, options)
      ),
    );
}

function splitName(text: string): Split {
  if (Object.hasOwn(SPLITS, text)) return text as Split;
  throw new InvalidArgumentError(`it must be one of ${Object.keys(SPLITS).join(", ")}`);
}

function addRunning(pipeline: Command, verb: Verb, params: string): void {
  pipeline.command("run [dag]", { isDefault: true })
    .description("run a dag now (default: nightly)")
    .option(
      "--messages <path...>",
      'conversations: JSON, NDJSON or CSV, plain or gzipped, a folder, or "-" for stdin',
      [],
    )
    .option("--campaigns <path...>", "campaigns, likewise", [])
    .option("--events <path...>", "engagement events, likewise", [])
    .option("--all", "read unchanged sources again, and derive all users again", false)
    .option("--param <name=value...>", "a param of the dag; the value is JSON, else text", [])
    .option("--date <date>", "the logical date, such as 2026-05-01 or 2026-05-01T02:30+02:00; default now")
    .option("--dry-run", "check the params and show the order, without running", false)
    .option("--json", "print the summary, or the dry run, as one JSON object", false)
    .addHelpText("after", `\n${params}`)
    .action(
      verb(async (config, dag: string | undefined, options: Omit<RunOrder, "dag" | "commands">) => {
        const commands = pipeline.commands.map((command) => command.name());
        return await (await import("./run.ts")).runDag(config, {
          ...options,
          dag: dag ?? "nightly",
          commands,
        });
      }),
    );
  pipeline.command("retry <run>")
    .description(
      "run tasks of an ended run again; default: failed tasks and the tasks that did not run because of them",
    )
    .option("--task <id...>", "these tasks instead")
    .option("--upstream", "and all upstream tasks", false)
    .option("--downstream", "and all downstream tasks", false)
    .option("--failed", "only failed ones of these", false)
    .option("--keep-checkpoints", "continue long tasks from their checkpoints", false)
    .option("--json", "print the summary as JSON", false)
    .action(verb(loaded(() => import("./run.ts"), "retryRun")));
  pipeline.command("work")
    .description("execute queued and interrupted runs, then end; the scheduler calls this")
    .action(verb(loaded(() => import("./work.ts"), "drainQueue")));
  pipeline.command("run-task")
    .description("run one attempt of one task, for an external engine such as Airflow")
    .requiredOption("--dag <id>", "the dag")
    .requiredOption("--task <id>", "the task")
    .requiredOption("--run-id <id>", "the run, which is created if it is new")
    .option("--attempt <n>", "the external engine's number of this attempt", positive)
    .option("--map-index <i>", "which item of a mapped task, from 0", parseWholeNumber)
    .option("--from <date>", "start of the data interval: a day in UTC, or a time with its offset")
    .option("--to <date>", "end of the data interval")
    .option(
      "--param <name=value...>",
      "a param of a new run that may be set over HTTP; the value is JSON, else text",
      [],
    )
    .option(
      "--lineage-parent <run>",
      "the external engine's run of this task in OpenLineage, as namespace/job/UUID",
    )
    .option("--output <file>", "a file for the result, as JSON")
    .addHelpText(
      "after",
      "\nExit codes: 0 done, 99 skipped, 98 failed without retry, also for wrong usage or configuration; any other failure may be " +
        "retried. If the run left a source out, the task that ends it exits with 98. SIGTERM cancels.",
    )
    .action(verb(loaded(() => import("./run_task.ts"), "runOneTask")));
}

function addLooking(pipeline: Command, verb: Verb): void {
  pipeline.command("list").description("the dags with their next run and the outcome of the last")
    .option(...JSON_OPTION)
    .action(verb(loaded(inspect, "listDags")));
  pipeline.command("show <dag>").description("a dag's graph, tasks and params").option(...JSON_OPTION)
    .action(verb(loaded(inspect, "showDag")));
  pipeline.command("runs").description("runs, newest first")
    .option("--dag <id>", "of this dag only").option("--limit <n>", "maximum number of runs", positive, 20)
    .option(...JSON_OPTION)
    .action(verb(loaded(inspect, "listRuns")));
  pipeline.command("summary").description("a summary of each dag and stage: success, times, rows, freshness")
    .option("--days <n>", "number of days; default 30", positive).option(...JSON_OPTION)
    .action(verb(loaded(() => import("./summary.ts"), "showSummary")));
  addAnomalies(pipeline, verb);
  pipeline.command("status <run>").description("one run, stage by stage; live on a terminal").option(
    ...JSON_OPTION,
  )
    .action(verb(loaded(inspect, "showStatus")));
  pipeline.command("logs <run> [task]").description("the log of a run or a task")
    .option("--attempt <n>", "of this attempt only", positive)
    .option("--follow", "print new lines until the run has ended", false)
    .option("--json", "as JSON, one object per line", false)
    .action(verb(loaded(inspect, "showLogs")));
  pipeline.command("lineage <run>").description("the datasets that each attempt read and wrote").option(
    ...JSON_OPTION,
  )
    .action(verb(loaded(inspect, "showLineage")));
  pipeline.command("quarantine").description(
    "refused input rows with their reasons, and what to do",
  )
    .option("--run <id>", "of this run only").option("--limit <n>", "maximum number of rows", positive, 50)
    .option("--raw", "include the text of the rows, which may be personal", false).option(...JSON_OPTION)
    .action(verb(loaded(() => import("./quarantine.ts"), "listQuarantine")));
}

function addAnomalies(pipeline: Command, verb: Verb): void {
  const anomalies = pipeline.command("anomalies").description(
    "anomalies, and what to do; exit 1 if a critical one is not acknowledged",
  )
    .option("--days <n>", "days of history to compare with; default 90", positive).option(...JSON_OPTION)
    .action(verb(loaded(anomalyVerbs, "showAnomalies")));
  anomalies.command("ack <id>").description(
    "acknowledge an open anomaly: it does not count until the given time",
  )
    .requiredOption("--until <when>", "30m, 8h, 7d or 2026-05-01T08:00:00Z; 90 days at most")
    .option("--by <name>", "who acknowledges it", "").option(...JSON_OPTION)
    .action(verb(loaded(anomalyVerbs, "acknowledgeAnomaly")));
  anomalies.command("unack <id>").description("withdraw an acknowledgement: the anomaly counts again").option(
    ...JSON_OPTION,
  )
    .action(verb(loaded(anomalyVerbs, "unacknowledgeAnomaly")));
}

function addIntents(pipeline: Command, verb: Verb): void {
  pipeline.command("discover").description(
    "propose intents from messages without one; prints conversation text",
  )
    .option("--groups <n>", "number of groups; default: depends on the messages", positive)
    .option("--json", "a catalogue to name and correct, as JSON", false)
    .action(verb(loaded(() => import("./intents.ts"), "discoverIntents")));
  pipeline.command("classify [text...]").description("classify texts, or lines of standard input, by intent")
    .option(...JSON_OPTION)
    .action(verb(loaded(() => import("./intents.ts"), "classifyTexts")));
}

function addChanging(pipeline: Command, verb: Verb): void {
  pipeline.command("cancel <run>").description("stop a run").option(...JSON_OPTION)
    .action(verb(loaded(control, "cancelRun")));
  pipeline.command("clear <dag>").description(
    "run what failed in many ended runs again, after all other queued runs",
  )
    .addOption(
      new Option("--state <state...>", "runs in these states").choices(CLEARABLE).default(["failed"]),
    )
    .option("--from <day>", "the first logical date, such as 2026-05-01, in UTC")
    .option("--to <day>", "the last one")
    .option("--all-tasks", "run all tasks of these runs again", false)
    .option("--max-active <n>", "how many of them may be in progress at one time", positive, 1)
    .option("--note <text>", "why; it is shown in each run", "")
    .option("--by <name>", "who clears them", "")
    .option("--dry-run", "show the runs without clearing any", false)
    .option(...JSON_OPTION)
    .action(verb(loaded(() => import("./mark.ts"), "clear")));
  pipeline.command("mark").description("mark an ended run, or one of its tasks, as successful or failed")
    .argument("<run>")
    .addArgument(new Argument("<state>").choices(MARKS))
    .option("--task <id>", "this task; if it is marked as success, what did not run because of it is queued")
    .option("--note <text>", "why; it is shown in the run", "")
    .option("--by <name>", "who marks it", "")
    .option(...JSON_OPTION)
    .action(verb(loaded(() => import("./mark.ts"), "mark")));
  for (const word of ["pause", "unpause"] as const) {
    pipeline.command(`${word} <dag>`).option(...JSON_OPTION)
      .description(word === "pause" ? "stop scheduled runs of a dag" : "resume scheduled runs of a dag")
      .action(
        verb(async (config, dag: string, options: { json: boolean }) =>
          (await control()).setPaused(config, dag, word === "pause", options)
        ),
      );
  }
  pipeline.command("backfill <dag>").description("queue the runs of past days, after all other queued runs")
    .requiredOption("--from <day>", "the first day, such as 2026-05-01, in the zone of the dag's schedule")
    .requiredOption("--to <day>", "the last day")
    .addOption(
      new Option(
        "--reprocess <which>",
        "which days run again whose run has ended: none, failed ones, or all completed ones",
      )
        .choices(REPROCESS).default("none"),
    )
    .option("--max-active <n>", "how many of its runs may be in progress at one time", positive, 1)
    .option("--backwards", "the newest day first", false)
    .option("--param <name=value...>", "a param of the new runs; the value is JSON, else text", [])
    .option("--dry-run", "show what it would do with each day", false).option(...JSON_OPTION)
    .action(verb(loaded(() => import("./backfill.ts"), "backfill")));
  const backfills = pipeline.command("backfills").description("the newest backfills with their progress")
    .option("--dag <id>", "of this dag only")
    .option("--limit <n>", "maximum number of backfills", positive, 20)
    .option(...JSON_OPTION)
    .action(verb(loaded(() => import("./backfill.ts"), "listBackfills")));
  backfills.command("cancel <backfill>").description("cancel its runs that are queued or in progress").option(
    ...JSON_OPTION,
  )
    .action(verb(loaded(() => import("./backfill.ts"), "endBackfill")));
  pipeline.command("notify")
    .description("send a test message to each sink of notifications; exit 1 if one does not take it")
    .option(...JSON_OPTION)
    .action(verb(loaded(() => import("./notifications.ts"), "notify")));
  pipeline.command("prune").description("remove the records of ended runs")
    .requiredOption("--older-than <age>", "30d, 12h or 5m").option(...JSON_OPTION)
    .action(verb(loaded(control, "pruneRuns")));
}

function several(text: string): number {
  const value = parseWholeNumber(text);
  if (value < 2) throw new InvalidArgumentError("it must be a whole number above 1");
  return value;
}

export function positive(text: string): number {
  const value = parseWholeNumber(text);
  if (value < 1) throw new InvalidArgumentError("it must be a whole number above 0");
  return value;
}

function parseWholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0) throw new InvalidArgumentError("it must be a whole number");
  return value;
}

const HELP = `
Without a command it runs the nightly dag now, on the configured sources or on the given ones, as in
  deno task pipeline --messages chats.ndjson more/ --campaigns campaigns.json --events -
\`deno task pipeline run --help\` lists all options.`;
