import { styleText } from "../deps.ts";
import type { Config } from "../lib/config.ts";
import { systemClock } from "../lib/core/clock.ts";
import { ParleyError } from "../lib/core/errors.ts";
import { sentence } from "../lib/core/text.ts";
import { parseModelKey } from "../lib/core/types.ts";
import {
  acknowledge,
  acknowledgedHow,
  acknowledger,
  type OpenAnomaly,
} from "../lib/monitoring/acknowledge.ts";
import { type Anomalies, type AnomalyOptions, detectAnomalies } from "../lib/monitoring/anomalies.ts";
import { type Anomaly, subjectName } from "../lib/monitoring/anomaly.ts";
import { compareStores } from "../lib/data_checks/data_checks.ts";
import type { HealthStatus } from "../lib/monitoring/health.ts";
import { indexAnomalies } from "../lib/monitoring/index_anomalies.ts";
import type { RunStore } from "../lib/stores/runs/port.ts";
import { STORE_NAMES } from "../lib/telemetry/store_metrics.ts";
import { watched } from "../routes/api/pipeline.ts";
import { allDags } from "./engine.ts";
import { EXIT } from "./exit.ts";
import { runInProgress, withRuns } from "./inspect.ts";
import { openServing, readPublished, type ServingStores } from "./services.ts";

/** Prints anomalies; exit code 1 if a critical one is not acknowledged. */
export async function showAnomalies(
  config: Config,
  options: { days?: number; json: boolean },
): Promise<number> {
  const anomalies = await withAnomalies(config, options, ({ anomalies }) => Promise.resolve(anomalies));
  console.log(options.json ? JSON.stringify(anomalies) : anomaliesText(anomalies));
  return anomalies.health.status === "critical" ? EXIT.failed : EXIT.ok;
}

export async function acknowledgeAnomaly(
  config: Config,
  id: string,
  { json, until, by: name }: { json: boolean; until: string; by: string },
): Promise<number> {
  const by = acknowledger({ name, key: null });
  const acknowledgement = await withAnomalies(
    config,
    {},
    ({ runs, anomalies: { open } }) => acknowledge({ runs, open, clock: systemClock, id, until, by }),
  );
  const line = `${id} is acknowledged by ${acknowledgement.by} until ${acknowledgement.until}, ` +
    acknowledgedHow({ code: id.split(":", 1)[0]! });
  console.log(json ? JSON.stringify(acknowledgement) : line);
  return EXIT.ok;
}

/** Takes an acknowledgement back. */
export function unacknowledgeAnomaly(
  config: Config,
  id: string,
  options: { json: boolean },
): Promise<number> {
  return withRuns(config, async (runs) => {
    const removed = await runs.unacknowledge({ anomaly_id: id });
    if (!removed) throw new ParleyError("not_found", `${id} is not acknowledged`);
    console.log(options.json ? JSON.stringify({ anomaly_id: id }) : `${id} counts again`);
    return EXIT.ok;
  });
}

/** Looks for anomalies as the API does, with the stores compared live, and does something with them while the stores are open. */
async function withAnomalies<T>(
  config: Config,
  options: { readonly days?: number },
  body: (opened: { runs: RunStore; anomalies: Anomalies }) => Promise<T>,
): Promise<T> {
  await using opened = await openServing(config, { inMemory: true });
  const stores = opened.value;
  const { dags, faults: dag_faults } = await allDags(config);
  // The first question to a server also loads a client and connects, which may take longer than an answer may.
  await Promise.allSettled(STORE_NAMES.map((name) => stores[name].health()));
  const anomalies = await detectAnomalies({
    ...watched({ stores, dags: [...dags.values()], dag_faults, clock: systemClock }),
    // Read whole, however long that takes.
    indexes: (now) => indexAnomalies(stores, now),
    ...await comparedStores(stores),
    ...options,
  });
  return await body({ runs: stores.runs, anomalies });
}

/**
 * None while nothing is published or a run is in progress, as stores disagree until it ends, or while that cannot be read, which is
 * found as such.
 */
async function comparedStores(
  { runs, documents, analytics, vectors, graph }: ServingStores,
): Promise<Pick<AnomalyOptions, "comparison">> {
  if ((await runInProgress(runs).catch(() => null)) !== null) return {};
  const published = await readPublished({ analytics, vectors });
  if (published === null) return {};
  const model = parseModelKey(published.model);
  const stores = { documents, analytics, vectors: await vectors.forModel({ model }), graph };
  return { comparison: compareStores(stores) };
}

const COLOUR = { critical: "red", warning: "yellow", info: "gray" } as const;
/** Past ones that are listed; `--json` has all of them. */
const SHOWN_PAST = 10;

function anomaliesText({ health, open, past, since }: Anomalies): string {
  const lead = `${TONE[health.status].sign} ${sentence(health.cause)}`;
  const now = [
    styleText(["bold", TONE[health.status].colour], lead),
    ...open.length === 0 && health.next_step !== "" ? [sentence(health.next_step)] : [],
    ...open.map((anomaly) => {
      const { severity, acknowledged } = anomaly;
      const colour = acknowledged === null ? COLOUR[severity] : "gray";
      return styleText(colour, `${severity.padEnd(8)}  ${line(anomaly)}${inHand(anomaly)}`);
    }),
  ];
  if (past.length === 0) return now.join("\n");
  const earlier = past.slice(0, SHOWN_PAST).map((anomaly) =>
    styleText("gray", `until ${anomaly.until ?? ""}  ${line(anomaly)}`)
  );
  return [...now, "", `${past.length} more since ${since.slice(0, 10)}, which have ended:`, ...earlier].join(
    "\n",
  );
}

const TONE: Readonly<Record<HealthStatus, { colour: "red" | "yellow" | "green" | "gray"; sign: string }>> = {
  critical: { colour: "red", sign: "✖" },
  empty: { colour: "gray", sign: "·" },
  warning: { colour: "yellow", sign: "!" },
  acknowledged: { colour: "gray", sign: "·" },
  nothing_new: { colour: "gray", sign: "·" },
  ok: { colour: "green", sign: "✔" },
};

/** The acknowledgement, or the id to acknowledge it by. */
function inHand({ id, acknowledged }: OpenAnomaly): string {
  return acknowledged === null
    ? ` [${id}]`
    : ` [acknowledged by ${acknowledged.by} until ${acknowledged.until}]`;
}

function line({ subject, since, text }: Anomaly): string {
  return `${subjectName(subject)} since ${since}: ${text}`;
}
