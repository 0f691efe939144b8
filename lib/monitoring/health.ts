import { counted } from "../core/text.ts";
import type { Published } from "../core/types.ts";
import { isSkipped, type RunRecord } from "../stores/runs/port.ts";
import type { OpenAnomaly } from "./acknowledge.ts";
import { causeOf, remedyOf, type Severity } from "./anomaly.ts";

/**
 * The health, the worst first: `critical`: something is wrong now. `empty`: nothing is published, so there are no
 * answers yet. `warning`: look at it today. `acknowledged`: all problems are acknowledged. `nothing_new`: the
 * last run had nothing to do. `ok`: the last run did its work.
 */
export const HEALTH_STATUSES = ["critical", "empty", "warning", "acknowledged", "nothing_new", "ok"] as const;
export type HealthStatus = typeof HEALTH_STATUSES[number];

/** JSON as it is. */
export interface Health {
  readonly status: HealthStatus;
  /** Why it is so, in one line. */
  readonly cause: string;
  /** What to do, or other hints, with commands in backquotes; "" without any. */
  readonly next_step: string;
  /** The anomaly that it is about, and the run; null where it is about none. */
  readonly anomaly_id: string | null;
  readonly run_id: string | null;
  /** Open anomalies that count. */
  readonly critical: number;
  readonly warnings: number;
  /** Open anomalies that do not, since they are acknowledged. */
  readonly acknowledged: number;
}

/** What decides it. */
export interface HealthFacts {
  readonly open: readonly OpenAnomaly[];
  /** Null if nothing is published; `unknown` if analytics does not respond. */
  readonly published: Published | null | "unknown";
  /** The run that ended last and was not cancelled, of any dag. */
  readonly latest: RunRecord | null;
  /** Whether a run is queued or in progress. */
  readonly running: boolean;
}

/**
 * The health on the overview, in `pipeline anomalies` with its exit code, `doctor` and `GET /pipeline/anomalies`: the worst
 * of what counts, and of several the one that the others may come of.
 */
export function healthOf(facts: HealthFacts): Health {
  const { open, published, latest } = facts;
  const counting = open.filter(({ acknowledged }) => acknowledged === null);
  const of = (severity: Severity) => counting.filter((each) => each.severity === severity).sort(byRank);
  const [critical, warnings] = [of("critical"), of("warning")];
  const known = open.filter(({ acknowledged, severity }) => acknowledged !== null && severity !== "info");
  const health = (
    status: HealthStatus,
    rest: Pick<Health, "cause" | "next_step"> & Partial<Health>,
  ): Health => ({
    status,
    anomaly_id: null,
    run_id: null,
    critical: critical.length,
    warnings: warnings.length,
    acknowledged: open.length - counting.length,
    ...rest,
  });
  if (critical[0] !== undefined) return health("critical", about(critical[0]));
  if (published === null) return health("empty", whyEmpty(facts));
  if (warnings[0] !== undefined) return health("warning", about(warnings[0]));
  if (known[0] !== undefined) return health("acknowledged", inHand(known));
  if (latest !== null && isSkipped(latest)) return health("nothing_new", idle(latest));
  return health("ok", fine(latest));
}

/** Codes whose fault explains others, and those that others explain; all else is between. */
const RANK: Readonly<Record<string, number>> = {
  store_unreachable: -4,
  store_emptied: -3,
  scheduler_silent: -2,
  scheduler_missing: -1,
  run_failed: 1,
  run_late: 2,
};

function byRank(a: OpenAnomaly, b: OpenAnomaly): number {
  return (RANK[a.code] ?? 0) - (RANK[b.code] ?? 0);
}

function about(anomaly: OpenAnomaly): Pick<Health, "cause" | "next_step" | "anomaly_id" | "run_id"> {
  return {
    cause: causeOf(anomaly),
    next_step: remedyOf(anomaly),
    anomaly_id: anomaly.id,
    run_id: anomaly.run_id,
  };
}

function whyEmpty({ latest, running }: HealthFacts): Pick<Health, "cause" | "next_step" | "run_id"> {
  const cause = running
    ? "The first run is in progress"
    : latest === null
    ? "Nothing has run yet"
    : "Nothing is published yet";
  const next_step = running
    ? "answers come as soon as it has published"
    : "`deno task pipeline` loads your sources, and `deno task start` a sample if there are none; answers come as soon as " +
      "a run has published";
  return { cause, next_step, run_id: latest?.run_id ?? null };
}

function inHand(known: readonly OpenAnomaly[]): Pick<Health, "cause" | "next_step"> {
  const first = known[0]!;
  const { by, until } = first.acknowledged!;
  const cause = known.length === 1
    ? `Known and acknowledged: ${causeOf(first)}`
    : `${counted(known.length, "problem")} are known and acknowledged`;
  return { cause, next_step: `acknowledged by ${by} until ${until}; nothing else is wrong` };
}

function idle(
  { dag_id, ended_at, error, run_id }: RunRecord,
): Pick<Health, "cause" | "next_step" | "run_id"> {
  const next_step = `the run of ${dag_id} at ${ended_at ?? ""} had nothing to do; answers are as they were`;
  return { cause: `Nothing new: ${error ?? ""}`, next_step, run_id };
}

function fine(latest: RunRecord | null): Pick<Health, "cause" | "next_step" | "run_id"> {
  const next_step = latest === null
    ? ""
    : `the last run of ${latest.dag_id} succeeded at ${latest.ended_at ?? ""}`;
  return { cause: "Everything is fine", next_step, run_id: latest?.run_id ?? null };
}
