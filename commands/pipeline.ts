import type { Config } from "../lib/config.ts";
import { absolute } from "../lib/config.ts";
import { iso, systemClock } from "../lib/core/clock.ts";
import { ParleyError } from "../lib/core/errors.ts";
import { type Kind, KINDS } from "../lib/core/types.ts";
import { topological } from "../lib/dag/graph.ts";
import { createRun } from "../lib/dag/runs.ts";
import { openDocuments, openRuns } from "../lib/stores/open.ts";
import { allDags, engine, work } from "./engine.ts";
import { exitCodeOf, shutdownSignal } from "./exit.ts";
import { ProgressView } from "./progress.ts";
import { isSample } from "./sample.ts";
import { openAll, openServices } from "./services.ts";
import { summarize, summaryTable } from "./summary.ts";

export type Sources = Readonly<Record<Kind, readonly string[]>>;

/** Runs the nightly dag now and shows it. Returns the exit code. */
export async function runNightly(config: Config, o: { sources: Sources; json: boolean }): Promise<number> {
  const params = sourcesOf(config, o.sources);
  const stores = await openAll({ runs: () => openRuns(config.runs) });
  const services = await openServices(config);
  const shutdown = shutdownSignal();
  const dag = allDags(config).get("nightly")!;
  const order = topological(dag.tasks);
  try {
    const { runs } = stores.value;
    const view = new ProgressView(order);
    const options = engine({ config, runs, services: services.value, observer: view });
    const lease = { owner: options.owner, until: Date.now() + options.ttl_ms };
    const { run_id } = await createRun({ dag, runs, clock: systemClock, params, lease });
    const outcome = await work(options, shutdown.signal, {
      until: run_id,
      onClaim: (id, resumed) => resumed && console.error(`going on with run ${id}, which was interrupted`),
      onWait: once(() => console.error("waiting for the run that is under way")),
    }).finally(() => view.close());
    const snapshot = await runs.snapshot({ run_id });
    if (snapshot === null) {
      throw new ParleyError("not_found", `run ${run_id} is gone: was the data directory reset?`);
    }
    const summary = summarize(snapshot, order);
    console.log(o.json ? JSON.stringify(summary) : summaryTable(summary));
    if (!o.json) await hints(config, params);
    return exitCodeOf(outcome);
  } finally {
    shutdown.dispose();
    await services.close();
    await stores.close();
  }
}

/** The sources given; else the configured ones. */
function sourcesOf(config: Config, given: Sources): Record<Kind, string[]> {
  const chosen = KINDS.some((kind) => given[kind].length > 0) ? given : config.sources;
  if (KINDS.every((kind) => chosen[kind].length === 0)) {
    throw new ParleyError(
      "invalid",
      "there is no source: give --messages, --campaigns or --events, or set PARLEY_MESSAGES, PARLEY_CAMPAIGNS, " +
        "PARLEY_EVENTS; `deno task start` loads a sample",
    );
  }
  const paths = (kind: Kind) => chosen[kind].map((path) => absolute(path, Deno.cwd()));
  return { messages: paths("messages"), campaigns: paths("campaigns"), events: paths("events") };
}

/** Says once that sample rows stand beside real ones. */
async function hints(config: Config, params: Sources): Promise<void> {
  const { openAnalytics } = await import("../lib/stores/open.ts");
  const { value: { analytics }, close } = await openAll({ analytics: () => openAnalytics(config.analytics) });
  try {
    const sources = (await analytics.sources()).map(({ uri }) => uri);
    const real = KINDS.some((kind) => params[kind].some((path) => !isSample(path)));
    if (real && sources.some(isSample)) {
      console.log("The sample is still in the data beside yours; `deno task reset --sample` takes it out.");
    }
  } finally {
    await close();
  }
}

/** Executes what is queued or was interrupted, then returns. What a scheduler starts beside itself. */
export async function workOff(config: Config): Promise<number> {
  const stores = await openAll({ runs: () => openRuns(config.runs) });
  const services = await openServices(config);
  const shutdown = shutdownSignal();
  try {
    const options = engine({ config, runs: stores.value.runs, services: services.value });
    const onClaim = (run_id: string, resumed: boolean) =>
      console.error(`${iso(Date.now())} run ${run_id}: ${resumed ? "resumed" : "started"}`);
    const outcome = await work(options, shutdown.signal, { onClaim });
    if (outcome !== null) console.error(`${iso(Date.now())} last run: ${outcome}`);
    return exitCodeOf(outcome);
  } finally {
    shutdown.dispose();
    await services.close();
    await stores.close();
  }
}

/** Lists refused rows with their reasons; their text only where asked for. */
export async function listQuarantine(
  config: Config,
  o: { run?: string; limit: number; raw: boolean; json: boolean },
): Promise<number> {
  const { value: { documents }, close } = await openAll({ documents: () => openDocuments(config.documents) });
  try {
    const found = await documents.quarantined({
      ...o.run === undefined ? {} : { run_id: o.run },
      limit: o.limit,
      offset: 0,
    });
    const rows = found.map(({ raw, ...row }) => o.raw ? { ...row, raw } : row);
    if (o.json) { for (const row of rows) console.log(JSON.stringify(row)); }
    else {for (const row of rows) {
        console.log(`${row.source}:${row.position}  ${row.reason}${"raw" in row ? `\n    ${row.raw}` : ""}`);
      }}
    if (!o.json) {
      console.log(`${rows.length} of ${(await documents.counts()).quarantined} rows in quarantine`);
    }
    return 0;
  } finally {
    await close();
  }
}

function once(body: () => void): () => void {
  let done = false;
  return () => {
    if (!done) body();
    done = true;
  };
}
