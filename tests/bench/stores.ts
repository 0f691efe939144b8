/**
 * A data set of conversations through the nightly dag, then answers, on each deployment: embedded stores, one PostgreSQL, five
 * servers. Rows and time of each stage, latencies, and memory side by side. The embedder is the deterministic one, which costs
 * next to nothing. Needs the servers that PARLEY_TEST_… name; a deployment without its servers is left out. Memory is that of
 * servers on this machine (Linux, `ss`).
 *
 *     deno run --allow-all tests/bench/stores.ts
 */
import { existsSync } from "node:fs";
import { builtInDags } from "../../commands/engine.ts";
import { openServing } from "../../commands/services.ts";
import { type RunSummary, summarize } from "../../commands/run_summary.ts";
import { systemClock } from "../../lib/core/clock.ts";
import { KINDS } from "../../lib/core/types.ts";
import { createApp } from "../../routes/app.ts";
import { ALL_SETTINGS } from "../fixtures/faults.ts";
import { digests, type Flow, nightlyRun, ROOT, withFlow } from "../fixtures/flow.ts";
import { dropSchema, freshSchema, PGVECTOR } from "../fixtures/postgres.ts";
import { defaultPort, freshServers, missingServers } from "../fixtures/servers.ts";
import { watchMemory } from "./lib/memory.ts";
import { benchServe, type Figure } from "./lib/serve.ts";

const DATA = `${ROOT}../shared/data/redial_dev`;
/** So many people are asked for once each and way. */
const USERS = 600;
/** So long that no answer leaves anything out. */
const ANSWER_MS = 10_000;

interface Deployment {
  readonly name: string;
  /** The variables of servers that are not set. */
  readonly missing: readonly string[];
  fresh(): { env: Record<string, string>; drop(): Promise<void> };
}

const DEPLOYMENTS: readonly Deployment[] = [
  { name: "embedded", missing: [], fresh: () => ({ env: {}, drop: () => Promise.resolve() }) },
  {
    name: "one PostgreSQL",
    missing: PGVECTOR === undefined ? ["PARLEY_TEST_PGVECTOR"] : [],
    fresh: () => {
      const url = freshSchema(PGVECTOR!);
      return { env: { PARLEY_STORES: url.href }, drop: () => dropSchema(url) };
    },
  },
  { name: "five servers", missing: missingServers(ALL_SETTINGS), fresh: () => freshServers(ALL_SETTINGS) },
];

interface Measured {
  readonly summary: RunSummary;
  readonly digests: Record<string, string>;
  readonly figures: readonly Figure[];
}

interface Column extends Measured {
  readonly name: string;
  /** At most, in MB; null if there is a server that is not on this machine. */
  readonly memory: Record<"parley" | "servers" | "together", number> | null;
}

/** Measures in a process of its own, so that its memory is that of one deployment. */
async function measureApart({ name, fresh }: Deployment): Promise<Column> {
  const { env, drop } = fresh();
  try {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--allow-all", import.meta.filename!, JSON.stringify(env)],
      stdin: "null",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const ports = Object.values(env).map((url) => portOf(new URL(url)));
    const memory = watchMemory({ pid: child.pid, ports: [...new Set(ports)] });
    const { success, stdout } = await child.output();
    const peaks = await memory.stop();
    if (!success) throw new Error(`${name} was not measured`);
    return { name, memory: peaks, ...JSON.parse(new TextDecoder().decode(stdout)) };
  } finally {
    await drop();
  }
}

function portOf(url: URL): number {
  return Number(url.port) || defaultPort(url);
}

async function measure(env: Record<string, string>): Promise<Measured> {
  let measured: Measured | null = null;
  await withFlow(async (flow) => {
    const sources = Object.fromEntries(KINDS.map((kind) => [kind, [`${DATA}/${kind}.jsonl`]]));
    const { outcome, snapshot } = await nightlyRun(flow, sources);
    if (outcome !== "success") throw new Error(`the run ended as ${outcome}: ${snapshot.run.error}`);
    const summary = summarize(snapshot, builtInDags(flow.config).get("nightly"));
    measured = { summary, digests: await digests(flow), figures: await answersOf(flow) };
  }, { PARLEY_EMBEDDINGS: "test:384", ...env });
  return measured!;
}

async function answersOf({ config }: Flow): Promise<Figure[]> {
  const { value: stores, close } = await openServing(config);
  const options = { stores, clock: systemClock, version: "bench", keys: [], log: null };
  const app = await createApp({ ...options, answer_ms: ANSWER_MS });
  const figures = await benchServe({ app, user_ids: users() });
  await close();
  return figures;
}

function users(): string[] {
  const lines = Deno.readTextFileSync(`${DATA}/messages.jsonl`).split("\n").filter((line) => line !== "");
  return [...new Set(lines.map((line): string => JSON.parse(line).user_id))].slice(0, USERS);
}

/** A table with a column for each deployment. */
function print(
  columns: readonly Column[],
  first: readonly string[],
  rows: readonly (readonly string[])[],
): void {
  const names = [...first, ...columns.map(({ name }) => name)];
  console.log(`\n| ${names.join(" | ")} |`);
  console.log(`| --- | ${names.slice(1).map(() => "---:").join(" | ")} |`);
  for (const row of rows) console.log(`| ${row.join(" | ")} |`);
}

function printStages(columns: readonly Column[]): void {
  const stages = columns[0]!.summary.stages.map(({ stage }, i) => {
    const each = columns.map(({ summary }) => summary.stages[i]!);
    const rows = (name: "rows_in" | "rows_out") =>
      [...new Set(each.map((stage) => stage[name].toLocaleString("en")))].join(" / ");
    return [
      stage,
      rows("rows_in"),
      rows("rows_out"),
      ...each.map(({ seconds }) => `${seconds?.toFixed(1)} s`),
    ];
  });
  const all = ["in all", "", "", ...columns.map(({ summary }) => `${summary.seconds?.toFixed(1)} s`)];
  print(columns, ["stage", "rows in", "rows out"], [...stages, all]);
}

function printAnswers(columns: readonly Column[]): void {
  const rows = columns[0]!.figures.flatMap(({ way, what }, i) => {
    if (what === "bare") return [];
    const latencies = ({ figures }: Column) => {
      const { p50, p95, p99 } = figures[i]!;
      return `${[p50, p95, p99].map((ms) => ms.toFixed(ms < 10 ? 2 : 0)).join(" / ")} ms`;
    };
    return [[`${what}, ${way}`, ...columns.map(latencies)]];
  });
  print(columns, ["answers, p50 / p95 / p99"], rows);
}

function printMemory(columns: readonly Column[]): void {
  const rows = (["parley", "servers", "together"] as const).map((what) => [
    what,
    ...columns.map(({ memory }) => memory === null ? "not measured" : `${Math.round(memory[what])} MB`),
  ]);
  print(columns, ["memory at most"], rows);
}

if (Deno.args[0] !== undefined) {
  console.log(JSON.stringify(await measure(JSON.parse(Deno.args[0]))));
  Deno.exit(0);
}
if (!existsSync(DATA)) {
  console.log(`nothing measured: ${DATA}, with messages, campaigns and events as .jsonl, is not there`);
  Deno.exit(0);
}
const columns: Column[] = [];
for (const deployment of DEPLOYMENTS) {
  if (deployment.missing.length === 0) columns.push(await measureApart(deployment));
  else console.log(`${deployment.name} not measured: ${deployment.missing.join(", ")} not set`);
}
printStages(columns);
printAnswers(columns);
printMemory(columns);
const different = new Set(columns.map(({ digests }) => JSON.stringify(digests))).size > 1;
console.log(`\ndigests ${different ? "DIFFER" : "are equal"}; load ${Deno.loadavg()[0]!.toFixed(1)}`);
if (different) Deno.exitCode = 1;
