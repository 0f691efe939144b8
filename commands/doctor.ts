import { styleText } from "../deps.ts";
import type { Config } from "../lib/config.ts";
import { iso } from "../lib/core/clock.ts";
import { round } from "../lib/core/round.ts";
import { counted } from "../lib/core/text.ts";
import { groupShared } from "../lib/core/shared_server.ts";
import { nextOccurrences } from "../lib/dag/schedule.ts";
import { anomalyId } from "../lib/monitoring/anomaly.ts";
import { notifiersOf } from "../lib/notifications/sinks.ts";
import { KnownProblems, type ReportedFinding } from "./known_problems.ts";
import {
  checkDisks,
  checkFiles,
  checkPermissions,
  checkScheduler,
  freeBytes,
  type SchedulerReport,
  type SourceReport,
  sourceReports,
} from "./doctor_setup.ts";
import {
  countDirtyUsers,
  examine,
  examineData,
  latencyOf,
  type OpenedStore,
  openRole,
  type Role,
  ROLES,
  StoreReader,
  type StoreReport,
  type Stores,
} from "./doctor_stores.ts";
import { EXIT } from "./exit.ts";
import { readOptions, readPublished } from "./services.ts";
import { sourceFindings } from "./source_findings.ts";

/** A store, and the acknowledgement of its problem. */
interface JudgedStore extends StoreReport {
  readonly acknowledged: ReportedFinding["acknowledged"];
}

interface Diagnosis {
  readonly stores: readonly JudgedStore[];
  readonly counts: Readonly<Record<string, Record<string, number>>>;
  /** Users that the next run derives; null if a store cannot be read. */
  readonly dirty_users: number | null;
  readonly sources: readonly SourceReport[];
  /** When the nightly run is due next; null if it is switched off. */
  readonly schedule:
    | { readonly cron: string; readonly timezone: string; readonly next: string | null }
    | null;
  /** Null if the run store cannot be read. */
  readonly scheduler: SchedulerReport | null;
  /** Problems. Acknowledged ones do not count. */
  readonly findings: readonly ReportedFinding[];
  /** The origin that lineage is sent to, and the number of unsent attempts; null without a sink. */
  readonly lineage: { readonly url: string; readonly unsent: number | null } | null;
  /** Where notifications are sent, and the number of those that each has yet to get; null if the runs cannot be read. */
  readonly notifications: readonly {
    readonly sink: string;
    readonly host: string;
    readonly pending: number | null;
  }[];
  readonly disk_free_gb: number;
  readonly memory_available_gb: number;
}

/**
 * Looks at everything that is configured before it is needed: which stores answer, how fast, whether they agree, and whether what
 * the next run reads and writes can be read and written. Says what to do about the rest.
 */
export async function doctor(config: Config, options: { json: boolean }): Promise<number> {
  const opened = new Map<Role, OpenedStore>();
  try {
    const roles = Object.keys(ROLES) as Role[];
    const stored = await readOptions(config);
    const failures = new Map(
      await Promise.all(roles.map((role) => openRole(config, role, opened, stored))),
    );
    const { analytics, vectors } = Object.fromEntries(opened) as Partial<Stores>;
    if (analytics !== undefined) await readPublished({ analytics, ...vectors && { vectors } });
    const reports = await Promise.all(roles.map((role) => examine(config, role, opened, failures)));
    const diagnosis = await diagnose(config, reports, opened);
    if (options.json) console.log(JSON.stringify(diagnosis));
    else print(diagnosis, config.shared_stores);
    return isWell(diagnosis) ? EXIT.ok : EXIT.failed;
  } finally {
    for (const store of opened.values()) await store.close();
  }
}

function isWell({ stores, findings }: Diagnosis): boolean {
  return stores.every(({ error, acknowledged }) => error === null || acknowledged !== null) &&
    findings.every(({ severity, acknowledged }) => severity !== "critical" || acknowledged !== null);
}

async function diagnose(
  config: Config,
  reports: readonly StoreReport[],
  opened: ReadonlyMap<Role, OpenedStore>,
): Promise<Diagnosis> {
  const answering = reports.filter(({ health }) => health !== null).map((
    { role },
  ) => [role, opened.get(role)]);
  const reader = new StoreReader();
  const stores: Partial<Stores> = Object.fromEntries(answering);
  const { counts, findings } = await examineData(config, stores, reader);
  const dirty_users = await countDirtyUsers(stores, reader);
  const records = await reader.read("analytics", stores.analytics, (analytics) => analytics.sources());
  const scheduler = await reader.read("runs", stores.runs, (runs) => checkScheduler(config, runs));
  const lineage = config.lineage === null ? null : {
    // A webhook has its secret in its path.
    url: config.lineage.origin,
    unsent: await reader.read("runs", stores.runs, (runs) => runs.unsent()),
  };
  const backlogs = await reader.read("runs", stores.runs, (runs) => runs.sinkBacklogs());
  const notifications = notifiersOf(config.notify).map(({ sink, host }) => {
    const pending = backlogs === null ? null : backlogs.find((each) => each.sink === sink)?.pending ?? 0;
    return { sink, host, pending };
  });
  const disk_free_gb = freeBytes(config.data) / 1e9;
  const knownProblems = await KnownProblems.read(config, stores);
  return {
    stores: (await withLatencies(reports, opened, reader.errors)).map((report) => ({
      ...report,
      acknowledged: report.error === null ? null : storeAcknowledgement(knownProblems, report.role),
    })),
    counts,
    dirty_users,
    sources: sourceReports(config, records),
    schedule: scheduleOf(config),
    scheduler: scheduler?.report ?? null,
    findings: knownProblems.toReported([
      ...findings,
      ...await sourceFindings(config),
      ...await checkFiles(config),
      ...scheduler?.findings ?? [],
      ...checkPermissions(config),
      ...checkDisks(config),
    ]),
    lineage,
    notifications,
    disk_free_gb,
    memory_available_gb: Deno.systemMemoryInfo().available / 1e9,
  };
}

/** The acknowledgement that a store does not respond, or has lost all its rows. */
function storeAcknowledgement(knownProblems: KnownProblems, store: Role): ReportedFinding["acknowledged"] {
  const faults = ["store_unreachable", "store_emptied"].map((code) => {
    const subject = { kind: "store", store } as const;
    return knownProblems.acknowledgementOf({ code, id: anomalyId({ code, subject }) });
  });
  return faults.find((acknowledgement) => acknowledgement !== null) ?? null;
}

/** The reports with the results of reading, and with latencies that were measured without other load. */
async function withLatencies(
  reports: readonly StoreReport[],
  opened: ReadonlyMap<Role, OpenedStore>,
  errors: ReadonlyMap<string, string>,
): Promise<StoreReport[]> {
  const all: StoreReport[] = [];
  for (const report of reports) {
    const { role, health } = report;
    const latency_ms = health && await latencyOf(opened.get(role)!);
    all.push({
      ...report,
      health: health && { ...health, latency_ms: round(latency_ms ?? health.latency_ms, 3) },
      error: report.error ?? errors.get(role) ?? null,
    });
  }
  return all;
}

function scheduleOf({ schedule }: Config): Diagnosis["schedule"] {
  if (schedule === null) return null;
  const [next] = nextOccurrences({ ...schedule, catch_up: "none" }, Date.now(), 1);
  return { ...schedule, next: next === undefined ? null : iso(next.due) };
}

function sizeText(bytes: number | null): string {
  return bytes === null ? "" : `, ${(bytes / 1e6).toFixed(1)} MB`;
}

/** A line for each store. Those of one server that are in the same state are one, with a line of rows for each below. */
function printStores({ stores, counts }: Diagnosis, shared: readonly string[]): void {
  const reports = new Map(stores.map((report) => [report.role, report]));
  const stateOf = (role: Role) => {
    const { health, error, acknowledged } = reports.get(role)!;
    return JSON.stringify([health === null, error, acknowledged]);
  };
  const rowsOf = (role: Role) =>
    Object.entries(counts[role] ?? {}).map(([name, n]) => `${n} ${name}`).join(", ");
  for (const roles of groupShared([...reports.keys()], shared, stateOf)) {
    const { url, health, error, acknowledged } = reports.get(roles[0]!)!;
    const names = roles.join(", ").padEnd(10);
    if (health === null || error !== null) {
      console.log(styleText("red", `✖ ${names} ${url}: ${error}${acknowledgedText(acknowledged)}`));
      continue;
    }
    const latency_ms = Math.max(...roles.map((role) => reports.get(role)!.health?.latency_ms ?? 0));
    const rows = roles.length === 1 ? rowsOf(roles[0]!) : "";
    console.log(
      `${styleText("green", "✔")} ${names} ${health.adapter} ${health.version}, ${latency_ms.toFixed(1)} ms` +
        `${sizeText(health.bytes)}, ${url}${rows === "" ? "" : `: ${rows}`}`,
    );
    if (roles.length === 1) continue;
    for (const role of roles) if (rowsOf(role) !== "") console.log(`  ${role.padEnd(10)} ${rowsOf(role)}`);
  }
}

function print(diagnosis: Diagnosis, shared: readonly string[]): void {
  const { findings, lineage, notifications, disk_free_gb, memory_available_gb } = diagnosis;
  printStores(diagnosis, shared);
  for (const { kind, path, last_read } of diagnosis.sources) {
    console.log(`  ${kind.padEnd(10)} ${path}: ${lastReadText(last_read)}`);
  }
  if (diagnosis.sources.length === 0) {
    console.log("  sources    none: set PARLEY_MESSAGES, PARLEY_CAMPAIGNS, PARLEY_EVENTS");
  }
  console.log(`  schedule   ${scheduleText(diagnosis)}`);
  const { dirty_users } = diagnosis;
  if (dirty_users !== null && dirty_users > 0) {
    console.log(
      `  next run   derives ${
        counted(dirty_users, "user")
      }, written to since the last one; \`deno task pipeline\` runs it now`,
    );
  }
  if (lineage !== null) {
    console.log(`  lineage    ${lineage.url}: ${lineage.unsent ?? "?"} ended attempts wait to be sent`);
  }
  for (const { sink, host, pending } of notifications) {
    console.log(`  ${sink.padEnd(10)} ${host}: ${pending ?? "?"} notifications wait to be sent`);
  }
  console.log(
    `  disk ${disk_free_gb.toFixed(0)} GB free, memory ${memory_available_gb.toFixed(1)} GB available`,
  );
  for (const { severity, text, acknowledged } of findings) {
    const colour = acknowledged !== null ? "gray" : severity === "critical" ? "red" : "yellow";
    console.log(styleText(colour, `${severity}: ${text}${acknowledgedText(acknowledged)}`));
  }
  if (findings.length === 0 && isWell(diagnosis)) console.log("Everything is in order.");
}

function lastReadText(last_read: SourceReport["last_read"]): string {
  if (last_read === null) return "not read yet";
  if (last_read === "unknown") return "whether it has been read is unknown, since analytics cannot be read";
  return `${last_read.rows} rows when last read, at ${last_read.at}`;
}

function acknowledgedText(acknowledged: ReportedFinding["acknowledged"]): string {
  return acknowledged === null ? "" : ` [acknowledged by ${acknowledged.by} until ${acknowledged.until}]`;
}

const SCHEDULERS = {
  up: "a scheduler is running",
  down: "the scheduler has stopped",
  none: "no scheduler has run yet: `deno task start` or `deno task schedule` starts due runs",
};

function scheduleText({ schedule, scheduler }: Diagnosis): string {
  if (schedule === null) return "off (PARLEY_SCHEDULE=off)";
  const { cron, timezone, next } = schedule;
  const alive = scheduler === null ? "" : `; ${SCHEDULERS[scheduler.status]}`;
  return `${cron} in ${timezone}, next at ${next ?? "no time"}${alive}`;
}
