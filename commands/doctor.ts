import { statfsSync, styleText } from "../deps.ts";
import type { Config } from "../lib/config.ts";
import { reasonOf } from "../lib/core/errors.ts";
import { showUrl } from "../lib/core/show_url.ts";
import {
  type Health,
  type HealthOptions,
  type ModelIdentity,
  parseModelKey,
  type Published,
} from "../lib/core/types.ts";
import { openEmbedder } from "../lib/embed/open.ts";
import { checkData, type CheckedStores, type Finding } from "../lib/quality/checks.ts";
import { otherModel } from "../lib/quality/model.ts";
import * as open from "../lib/stores/open.ts";
import type { RunStore } from "../lib/stores/runs/port.ts";
import type { VectorStore, VectorStores } from "../lib/stores/vectors/port.ts";
import { EXIT } from "./exit.ts";
import { embedderOptions, modelName } from "./models.ts";
import { askPublished, openOptions } from "./services.ts";
import { sourceFindings } from "./source_findings.ts";

interface Opened {
  health(o?: HealthOptions): Promise<Health>;
  close(): Promise<void>;
}

/** The stores as they are opened; those of data belong together. */
type Stores = Omit<CheckedStores, "vectors"> & { readonly vectors: VectorStores; readonly runs: RunStore };

/** How one store is. `url` is as {@link placeOf} has it; `error` says what to do. A store that answers may yet not be read. */
interface StoreReport {
  readonly role: Role;
  readonly url: string;
  readonly health: Health | null;
  readonly error: string | null;
}

interface Diagnosis {
  readonly stores: readonly StoreReport[];
  readonly counts: Readonly<Record<string, Record<string, number>>>;
  readonly findings: readonly Finding[];
  /** The origin that lineage is sent to, and how many ended attempts wait for that; null where it is not. */
  readonly lineage: { readonly url: string; readonly unsent: number | null } | null;
  readonly disk_free_gb: number;
  readonly memory_available_gb: number;
}

/** Below this much free disk a nightly run may not end well. */
const LITTLE_DISK_GB = 2;

const ROLES = {
  documents: open.openDocuments,
  analytics: open.openAnalytics,
  vectors: open.openVectors,
  graph: open.openGraph,
  runs: open.openRuns,
  cache: open.openCache,
  artifacts: open.openArtifacts,
} as const;
type Role = keyof typeof ROLES;

/** Above this many bytes it is said beforehand that reading a store takes a while. */
const LARGE = 1e9;

/** Looks at everything that is configured: what answers, whether it agrees, and what to do where not. */
export async function doctor(config: Config, o: { json: boolean }): Promise<number> {
  const opened = new Map<Role, Opened>();
  try {
    const roles = Object.keys(ROLES) as Role[];
    const failures = new Map(await Promise.all(roles.map((role) => openRole(config, role, opened))));
    const { analytics, vectors } = Object.fromEntries(opened) as Partial<Stores>;
    if (analytics !== undefined) await askPublished({ analytics, ...vectors && { vectors } });
    const reports = roles.map((role) => examine({ role, url: placeOf(config, role) }, opened, failures));
    const diagnosis = await diagnose(config, await Promise.all(reports), opened);
    if (o.json) console.log(JSON.stringify(diagnosis));
    else print(diagnosis);
    const ill = diagnosis.stores.some(({ error }) => error !== null) ||
      diagnosis.findings.some(({ severity }) => severity === "critical");
    return ill ? EXIT.failed : EXIT.ok;
  } finally {
    for (const store of opened.values()) await store.close();
  }
}

/** Opens a store; returns why it could not be, by role. */
async function openRole(
  config: Config,
  role: Role,
  opened: Map<Role, Opened>,
): Promise<[Role, string | null]> {
  try {
    opened.set(role, await ROLES[role](config[role], openOptions(config)));
    return [role, null];
  } catch (error) {
    return [role, reasonOf(error)];
  }
}

/** A store's URL to show. Embedded vectors are the files in a folder. */
function placeOf(config: Config, role: Role): string {
  return role === "vectors" ? showUrl(open.vectorPlace(config.vectors)) : showUrl(config[role]);
}

async function examine(
  { role, url }: Pick<StoreReport, "role" | "url">,
  opened: ReadonlyMap<Role, Opened>,
  failures: ReadonlyMap<Role, string | null>,
): Promise<StoreReport> {
  const store = opened.get(role);
  if (store === undefined) return { role, url, health: null, error: failures.get(role) ?? null };
  try {
    const { bytes, adapter } = await store.health();
    if (adapter === "sqlite" && bytes !== null && bytes > LARGE) {
      console.error(`reading ${role}, ${(bytes / 1e9).toFixed(1)} GB: about ${Math.ceil(4e-9 * bytes)} s`);
    }
    return { role, url, health: await store.health({ thorough: true }), error: null };
  } catch (error) {
    return { role, url, health: null, error: reasonOf(error) };
  }
}

async function diagnose(
  config: Config,
  reports: readonly StoreReport[],
  opened: ReadonlyMap<Role, Opened>,
): Promise<Diagnosis> {
  const well = reports.filter(({ error }) => error === null).map(({ role }) => [role, opened.get(role)]);
  const reading = new Reading();
  const stores: Partial<Stores> = Object.fromEntries(well);
  const { counts, findings: found } = await examineData(config, stores, reading);
  const findings = [...found, ...await sourceFindings(config)];
  const lineage = config.lineage === null ? null : {
    // A webhook has its secret in its path.
    url: config.lineage.origin,
    unsent: await reading.of("runs", stores.runs, (runs) => runs.unsent()),
  };
  const disk_free_gb = freeBytes(config.data) / 1e9;
  return {
    stores: reports.map((report) => ({
      ...report,
      error: report.error ?? reading.errors.get(report.role) ?? null,
    })),
    counts,
    findings: disk_free_gb < LITTLE_DISK_GB ? [...findings, littleDisk(disk_free_gb)] : findings,
    lineage,
    disk_free_gb,
    memory_available_gb: Deno.systemMemoryInfo().available / 1e9,
  };
}

/** Reads stores; one that cannot be read, though it answers, is noted and keeps no other from being read. */
class Reading {
  /** By role, the first thing that went wrong. */
  readonly errors = new Map<string, string>();

  /** Null where there is no store, or it cannot be read. */
  async of<S, T>(role: Role, store: S | undefined | null, read: (store: S) => Promise<T>): Promise<T | null> {
    if (store === undefined || store === null) return null;
    try {
      return await read(store);
    } catch (error) {
      if (!this.errors.has(role)) {
        this.errors.set(role, `it answers, but cannot be read: ${reasonOf(error)}`);
      }
      return null;
    }
  }
}

/** Counts each store's rows and holds the stores against each other. Of vectors, those count that answers are made from. */
async function examineData(
  config: Config,
  { documents, analytics, vectors: sets, graph }: Partial<Stores>,
  reading: Reading,
): Promise<Pick<Diagnosis, "counts"> & { findings: Finding[] }> {
  const published = await reading.of("analytics", analytics, (store) => store.published());
  const configured = await configuredModel(config);
  const model = published === null ? configured : parseModelKey(published.model);
  const vectors = typeof model === "string"
    ? null
    : await reading.of("vectors", sets, (store) => store.of({ model }));
  const data = { documents, analytics, vectors, graph };
  const counts: Record<string, Record<string, number>> = {};
  for (const role of Object.keys(data) as (keyof typeof data)[]) {
    const counted = await reading.of(role, data[role], async (store) => ({ ...await store.counts() }));
    if (counted !== null) counts[role] = counted;
  }
  const unreadable: Finding[] = [];
  const log = (text: string) => unreadable.push(unreadableModel(text));
  await reading.of("vectors", sets, (stores) => stores.models({ thorough: true, log }));
  const whole = Object.keys(counts).length === Object.keys(data).length;
  const compared = whole
    ? await reading.of("vectors", data as CheckedStores, (stores) => checkData(stores))
    : [];
  const about = typeof configured === "string"
    ? [noEmbedder(configured)]
    : otherModelFindings(config, published, configured);
  const indexes = published === null
    ? null
    : await reading.of("vectors", vectors, (store) => indexFindings(store, published));
  return { counts, findings: [...compared ?? [], ...indexes ?? [], ...unreadable, ...about] };
}

/** What is wrong with the indexes that answers come from. */
async function indexFindings(store: VectorStore, { version }: Published): Promise<Finding[]> {
  const faults = await store.verify({ version });
  const remedy =
    "run `deno task pipeline run reembed`, which builds a new version from what is stored (a running " +
    "API repairs an embedded index itself)";
  return faults.map((fault) => ({
    code: "damaged_index",
    severity: "critical",
    figure: 1,
    expected: 0,
    text: `${fault}; ${remedy}`,
  }));
}

/** What is free on the disk of a folder, or of the nearest one above that exists. */
function freeBytes(folder: string): number {
  try {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize;
  } catch (error) {
    const above = folder.replace(/\/[^/]*$/, "") || "/";
    if (above === folder) throw error;
    return freeBytes(above);
  }
}

/** The model that is set, or why it cannot be opened. */
async function configuredModel(config: Config): Promise<ModelIdentity | string> {
  const embedder = await openEmbedder({ ...embedderOptions(config), sessions: 1 }).catch(reasonOf);
  if (typeof embedder === "string") return embedder;
  await embedder.close();
  return embedder.model;
}

function otherModelFindings(config: Config, published: Published | null, model: ModelIdentity): Finding[] {
  const text = otherModel({ published, model, name: modelName(config.embeddings) });
  if (text === null || published === null) return [];
  const { dimension: expected } = parseModelKey(published.model);
  return [{ code: "other_model", severity: "critical", figure: model.dimension, expected, text }];
}

function noEmbedder(text: string): Finding {
  return { code: "no_embedder", severity: "critical", figure: 0, expected: 1, text };
}

/** Answers are whole without it. */
function unreadableModel(text: string): Finding {
  return { code: "unreadable_model", severity: "warning", figure: 0, expected: 1, text };
}

function littleDisk(figure: number): Finding {
  const text = `${figure.toFixed(1)} GB of disk are free: make room, or set PARLEY_DATA to a larger disk`;
  return { code: "little_disk", severity: "warning", figure, expected: LITTLE_DISK_GB, text };
}

function sizeText(bytes: number | null): string {
  return bytes === null ? "" : `, ${(bytes / 1e6).toFixed(1)} MB`;
}

function print({ stores, counts, findings, lineage, disk_free_gb, memory_available_gb }: Diagnosis): void {
  for (const { role, url, health, error } of stores) {
    const rows = Object.entries(counts[role] ?? {}).map(([name, n]) => `${n} ${name}`).join(", ");
    const line = health === null || error !== null
      ? styleText("red", `✖ ${role.padEnd(10)} ${url}: ${error}`)
      : `${styleText("green", "✔")} ${role.padEnd(10)} ${health.adapter} ${health.version}, ` +
        `${health.latency_ms.toFixed(1)} ms${sizeText(health.bytes)}, ${url}${
          rows === "" ? "" : `: ${rows}`
        }`;
    console.log(line);
  }
  if (lineage !== null) {
    console.log(`  lineage    ${lineage.url}: ${lineage.unsent ?? "?"} ended attempts wait to be sent`);
  }
  console.log(
    `  disk ${disk_free_gb.toFixed(0)} GB free, memory ${memory_available_gb.toFixed(1)} GB available`,
  );
  for (const { severity, text } of findings) {
    console.log(styleText(severity === "critical" ? "red" : "yellow", `${severity}: ${text}`));
  }
  if (findings.length === 0 && stores.every(({ error }) => error === null)) {
    console.log("Everything is in order.");
  }
}
