import { statfsSync } from "../deps.ts";
import type { Config } from "../lib/config.ts";
import { systemClock } from "../lib/core/clock.ts";
import { messageOf, reasonOf } from "../lib/core/errors.ts";
import { type Kind, KINDS } from "../lib/core/types.ts";
import type { Finding } from "../lib/data_checks/data_checks.ts";
import { schedulerAnomalies } from "../lib/monitoring/schedule_anomalies.ts";
import { inboxFiles } from "../lib/sources/inbox.ts";
import type { SourceRecord } from "../lib/stores/analytics/port.ts";
import { filesOf } from "../lib/stores/open.ts";
import type { ScheduleStore } from "../lib/stores/runs/port.ts";
import { fileAt } from "../lib/stores/engines/sqlite/file.ts";
import { readCatalogue, readExperiments } from "./setting_files.ts";
import { moveRecordPath } from "./data_folder.ts";
import { findingOf, type IdentifiedFinding } from "./known_problems.ts";
import { allDags } from "./engine.ts";
import { removeFile } from "../lib/stores/engines/disk.ts";

/** A configured path. */
export interface SourceReport {
  readonly kind: Kind;
  readonly path: string;
  /** Rows when a published run last read them, and when that was; null if none has, `unknown` if analytics cannot be read. */
  readonly last_read: { readonly rows: number; readonly at: string } | null | "unknown";
}

export interface SchedulerReport {
  readonly status: "up" | "down" | "none";
  readonly last_tick: string | null;
}

/** Each configured source with its rows at the last run. `records` are the sources that published runs have read; null if unknown. */
export function sourceReports({ sources }: Config, records: readonly SourceRecord[] | null): SourceReport[] {
  return KINDS.flatMap((kind) =>
    sources[kind].map((path) => {
      const last_read = records === null ? "unknown" : lastRead(records, { kind, path });
      return { kind, path, last_read };
    })
  );
}

function lastRead(
  records: readonly SourceRecord[],
  { kind, path }: { kind: Kind; path: string },
): SourceReport["last_read"] {
  const folder = path.endsWith("/") ? path : `${path}/`;
  const ofKind = records.filter((record) => record.kind === kind);
  // A path may have been a folder, and be a file now.
  const readings = [
    ofKind.filter(({ uri }) => uri === path),
    ofKind.filter(({ uri }) => uri.startsWith(folder)),
  ].flatMap((own) =>
    own.length === 0
      ? []
      : [{ rows: own.reduce((sum, { rows }) => sum + rows, 0), at: own.map(({ at }) => at).sort().at(-1)! }]
  );
  return readings.sort((a, b) => a.at < b.at ? 1 : -1)[0] ?? null;
}

/** Problems of the configured files and folders other than sources. */
export async function checkFiles(config: Config): Promise<Finding[]> {
  const findings: Finding[] = [];
  if (fileAt(moveRecordPath(config)) !== null) {
    const text =
      "`deno task move` was interrupted, so its target has a part of the data: run the same command again, " +
      `or delete ${moveRecordPath(config)} and empty the target`;
    findings.push(critical("move_interrupted", text));
  }
  try {
    if (config.intents !== null) await readCatalogue(config, []);
  } catch (error) {
    findings.push(critical("intents_unreadable", reasonOf(error)));
  }
  try {
    await readExperiments(config);
  } catch (error) {
    findings.push(critical("experiments_unreadable", reasonOf(error)));
  }
  if (config.inbox !== null) {
    const missing = await Deno.stat(config.inbox).then(() => null, messageOf) ??
      await inboxFiles(config.inbox).then(() => null, messageOf);
    if (missing !== null) {
      const text = `the folder of PARLEY_INBOX cannot be read, so no page offers its files: ${missing}`;
      findings.push({ ...critical("inbox_unreadable", text), severity: "warning" });
    }
  }
  return findings;
}

/** Whether a scheduler lives, as the overview judges it, and what to do if none does. Without a schedule none is needed. */
export async function checkScheduler(
  config: Config,
  runs: Pick<ScheduleStore, "leader">,
): Promise<{ report: SchedulerReport; findings: IdentifiedFinding[] }> {
  const now = systemClock.now();
  const leader = await runs.leader();
  const findings = (await schedulerAnomalies(runs, [...(await allDags(config)).dags.values()], now)).map(
    findingOf,
  );
  if (leader === null) return { report: { status: "none", last_tick: null }, findings };
  const status = Date.parse(leader.live_until) > now ? "up" : "down";
  return { report: { status, last_tick: leader.last_tick }, findings };
}

/** Whether what runs write can be written: the data folder, and the files of embedded stores. */
export function checkPermissions(config: Config): Finding[] {
  return [
    unwritable(config.data, writeIn),
    ...databasesOf(config).map((path) =>
      unwritable(path, (file) => Deno.openSync(file, { write: true }).close())
    ),
  ].filter((finding) => finding !== null);
}

/** The files of the embedded stores, each once. */
function databasesOf({ documents, analytics, vectors, graph, runs }: Config): string[] {
  return [
    ...new Set([documents, analytics, vectors, graph, runs].flatMap((url) => filesOf(url)?.database ?? [])),
  ];
}

function writeIn(folder: string): void {
  const path = `${folder}/.doctor-${crypto.randomUUID()}`;
  Deno.writeFileSync(path, new Uint8Array(1), { createNew: true });
  removeFile(path);
}

/** The first run creates missing folders. If Deno has no permission to write, opening the stores has reported it. */
function unwritable(path: string, write: (path: string) => void): Finding | null {
  if (Deno.permissions.querySync({ name: "write", path }).state !== "granted") return null;
  try {
    write(path);
    return null;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    return critical("not_writable", `${path} cannot be written: ${messageOf(error)}`);
  }
}

/** Below this much free disk a nightly run may not end well. */
const LITTLE_DISK_GB = 2;

/** Each disk with little space that runs write to: those of the data folder, the artifacts and the embedded stores. */
export function checkDisks(config: Config, little_gb = LITTLE_DISK_GB): Finding[] {
  const { artifacts } = config;
  const folders = artifacts.protocol === "file:" ? [decodeURIComponent(artifacts.pathname)] : [];
  const paths = [config.data, ...folders, ...databasesOf(config)]
    .map(nearestExisting);
  const disks = paths.map((path) => Deno.statSync(path).dev);
  return paths.filter((_, i) => disks.indexOf(disks[i]!) === i).flatMap((path) => {
    const free_gb = freeBytes(path) / 1e9;
    if (free_gb >= little_gb) return [];
    const text = `${
      free_gb.toFixed(1)
    } GB are free on the disk of ${path}: make room, or move it to a larger disk`;
    return [{ code: "little_disk", severity: "warning", figure: free_gb, expected: little_gb, text }];
  });
}

/** The free space on the disk of a folder, or of its nearest existing parent. */
export function freeBytes(folder: string): number {
  const { bavail, bsize } = statfsSync(nearestExisting(folder));
  return bavail * bsize;
}

function nearestExisting(path: string): string {
  try {
    Deno.statSync(path);
    return path;
  } catch (error) {
    const above = path.replace(/\/[^/]*$/, "") || "/";
    if (above === path) throw error;
    return nearestExisting(above);
  }
}

function critical(code: string, text: string): Finding {
  return { code, severity: "critical", figure: 1, expected: 0, text };
}
