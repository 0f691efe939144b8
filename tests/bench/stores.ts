/**
 * A data set of conversations through the nightly dag, on embedded stores and on servers in one run: rows and time of
 * each stage side by side, then answers on both. The embedder is the deterministic one, which costs next to nothing.
 * Needs the servers that PARLEY_TEST_… name.
 *
 *     deno run --allow-all tests/bench/stores.ts
 */
import { allDags } from "../../commands/engine.ts";
import { openServing } from "../../commands/services.ts";
import { type RunSummary, summarize } from "../../commands/run_summary.ts";
import { systemClock } from "../../lib/core/clock.ts";
import { KINDS } from "../../lib/core/types.ts";
import { createApp } from "../../routes/app.ts";
import { ALL_SETTINGS } from "../fixtures/faults.ts";
import { digests, type Flow, nightlyRun, ROOT, withFlow } from "../fixtures/flow.ts";
import { freshServers, missingServers } from "../fixtures/servers.ts";
import { benchServe, formatFigures } from "./lib/serve.ts";

const DATA = `${ROOT}../shared/data/redial_dev`;
/** So many people are asked for once each and way. */
const USERS = 600;
/** So long that no answer leaves anything out. */
const ANSWER_MS = 10_000;

interface Measured {
  readonly summary: RunSummary;
  readonly digests: Record<string, string>;
  readonly answers: string;
}

async function measure(env: Record<string, string>): Promise<Measured> {
  let measured: Measured | null = null;
  await withFlow(async (flow) => {
    const sources = Object.fromEntries(KINDS.map((kind) => [kind, [`${DATA}/${kind}.jsonl`]]));
    const { outcome, snapshot } = await nightlyRun(flow, sources);
    if (outcome !== "success") throw new Error(`the run ended as ${outcome}: ${snapshot.run.error}`);
    const summary = summarize(snapshot, allDags(flow.config).get("nightly"));
    measured = { summary, digests: await digests(flow), answers: await answersOf(flow) };
  }, { PARLEY_EMBEDDINGS: "test:384", ...env });
  return measured!;
}

async function answersOf({ config }: Flow): Promise<string> {
  const { value: stores, close } = await openServing(config);
  const options = { stores, clock: systemClock, version: "bench", keys: [], log: null };
  const app = await createApp({ ...options, answer_ms: ANSWER_MS });
  const figures = await benchServe({ app, user_ids: users() });
  await close();
  return formatFigures(figures);
}

function users(): string[] {
  const lines = Deno.readTextFileSync(`${DATA}/messages.jsonl`).split("\n").filter((line) => line !== "");
  return [...new Set(lines.map((line): string => JSON.parse(line).user_id))].slice(0, USERS);
}

function print(embedded: Measured, servers: Measured): void {
  console.log("| stage | rows in | rows out | embedded | servers |");
  console.log("| ----- | ------: | -------: | -------: | ------: |");
  for (const [i, one] of embedded.summary.stages.entries()) {
    const other = servers.summary.stages[i]!;
    const rows = (name: "rows_in" | "rows_out") =>
      one[name] === other[name] ? one[name].toLocaleString("en") : `${one[name]} / ${other[name]}`;
    const seconds = [one, other].map((stage) => `${stage.seconds?.toFixed(1)} s`);
    console.log(`| ${[one.stage, rows("rows_in"), rows("rows_out"), ...seconds].join(" | ")} |`);
  }
  console.log(`| in all | | | ${embedded.summary.seconds} s | ${servers.summary.seconds} s |`);
  const same = Object.entries(embedded.digests).filter(([store, digest]) =>
    servers.digests[store] === digest
  );
  console.log(`\nequal digests: ${same.map(([store]) => store).join(", ") || "none"}`);
  console.log(`\nanswers, embedded\n${embedded.answers}\n\nanswers, servers\n${servers.answers}`);
}

const missing = missingServers(ALL_SETTINGS);
try {
  Deno.statSync(DATA);
} catch {
  missing.push(`${DATA}, with messages, campaigns and events as .jsonl,`);
}
if (missing.length > 0) {
  console.log(`nothing measured: ${missing.join(", ")} is not there`);
  Deno.exit(0);
}
const embedded = await measure({});
const { env, drop } = freshServers(ALL_SETTINGS);
try {
  print(embedded, await measure(env));
} finally {
  await drop();
}
