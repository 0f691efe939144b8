import { statfsSync, styleText } from "../deps.ts";
import type { Config } from "../lib/config.ts";
import { messageOf } from "../lib/core/errors.ts";
import { type Health, type ModelIdentity, parseModelKey, type Published } from "../lib/core/types.ts";
import { openEmbedder } from "../lib/embed/open.ts";
import { checkData, type CheckedStores, type Finding } from "../lib/quality/checks.ts";
import { otherModel } from "../lib/quality/model.ts";
import * as open from "../lib/stores/open.ts";
import type { VectorStores } from "../lib/stores/vectors/port.ts";
import { EXIT } from "./exit.ts";
import { embedderOptions, embedderUrl } from "./services.ts";

interface Opened {
  health(): Promise<Health>;
  close(): Promise<void>;
}

/** The stores whose data belongs together, as they are opened. */
type DataStores = Omit<CheckedStores, "vectors"> & { readonly vectors: VectorStores };

/** How one store is. `url` has no credentials; `error` says what to do. */
interface StoreReport {
  readonly role: string;
  readonly url: string;
  readonly health: Health | null;
  readonly error: string | null;
}

interface Diagnosis {
  readonly stores: readonly StoreReport[];
  readonly counts: Readonly<Record<string, Record<string, number>>>;
  readonly findings: readonly Finding[];
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

/** Looks at everything that is configured: what answers, whether it agrees, and what to do where not. */
export async function doctor(config: Config, o: { json: boolean }): Promise<number> {
  const opened = new Map<Role, Opened>();
  try {
    const stores = await Promise.all(
      (Object.keys(ROLES) as Role[]).map((role) => examine(config, role, opened)),
    );
    const diagnosis = await diagnose(config, stores, opened);
    if (o.json) console.log(JSON.stringify(diagnosis));
    else print(diagnosis);
    const ill = stores.some(({ error }) => error !== null) ||
      diagnosis.findings.some(({ severity }) => severity === "critical");
    return ill ? EXIT.failed : EXIT.ok;
  } finally {
    for (const store of opened.values()) await store.close();
  }
}

async function examine(config: Config, role: Role, opened: Map<Role, Opened>): Promise<StoreReport> {
  const url = withoutCredentials(config[role]);
  try {
    const store = await ROLES[role](config[role]);
    opened.set(role, store);
    return { role, url, health: await store.health(), error: null };
  } catch (error) {
    return { role, url, health: null, error: messageOf(error) };
  }
}

function withoutCredentials(url: URL): string {
  const shown = new URL(url);
  if (shown.host !== "") shown.username = shown.password = "";
  return decodeURI(shown.href);
}

async function diagnose(
  config: Config,
  stores: readonly StoreReport[],
  opened: ReadonlyMap<Role, Opened>,
): Promise<Diagnosis> {
  const base = ["documents", "analytics", "vectors", "graph"] as const;
  const whole = base.every((role) => stores.some((store) => store.role === role && store.error === null));
  const { bavail, bsize } = statfsSync(config.data.replace(/\/[^/]*$/, "") || "/");
  const disk_free_gb = bavail * bsize / 1e9;
  const data = whole ? await examineData(config, Object.fromEntries(opened) as unknown as DataStores) : null;
  const findings = [
    ...data?.findings ?? [],
    ...disk_free_gb < LITTLE_DISK_GB ? [littleDisk(disk_free_gb)] : [],
  ];
  const memory_available_gb = Deno.systemMemoryInfo().available / 1e9;
  return { stores, counts: data?.counts ?? {}, findings, disk_free_gb, memory_available_gb };
}

/** Holds the stores against each other. Of vectors, those count that answers are made from. */
async function examineData(
  config: Config,
  { documents, analytics, vectors, graph }: DataStores,
): Promise<Pick<Diagnosis, "counts" | "findings">> {
  const published = await analytics.published();
  const configured = await configuredModel(config);
  const model = published === null ? configured : parseModelKey(published.model);
  if (typeof model === "string") return { counts: {}, findings: [noEmbedder(model)] };
  const data = { documents, analytics, vectors: await vectors.of({ model }), graph };
  const counted = Object.entries(data).map(async ([role, store]) => [role, { ...await store.counts() }]);
  const findings = await checkData(data);
  if (typeof configured === "string") findings.push(noEmbedder(configured));
  else findings.push(...otherModelFindings(config, published, configured));
  return { counts: Object.fromEntries(await Promise.all(counted)), findings };
}

/** The model that is set, or why it cannot be opened. */
async function configuredModel(config: Config): Promise<ModelIdentity | string> {
  const embedder = await openEmbedder({ ...embedderOptions(config), sessions: 1 }).catch(messageOf);
  if (typeof embedder === "string") return embedder;
  await embedder.close();
  return embedder.model;
}

function otherModelFindings(config: Config, published: Published | null, model: ModelIdentity): Finding[] {
  const text = otherModel({ published, model, embeddings: embedderUrl(config) });
  if (text === null || published === null) return [];
  const { dimension: expected } = parseModelKey(published.model);
  return [{ code: "other_model", severity: "critical", figure: model.dimension, expected, text }];
}

function noEmbedder(text: string): Finding {
  return { code: "no_embedder", severity: "critical", figure: 0, expected: 1, text };
}

function littleDisk(figure: number): Finding {
  const text = `${figure.toFixed(1)} GB of disk are free: make room, or set PARLEY_DATA to a larger disk`;
  return { code: "little_disk", severity: "warning", figure, expected: LITTLE_DISK_GB, text };
}

function sizeText(bytes: number | null): string {
  return bytes === null ? "" : `, ${(bytes / 1e6).toFixed(1)} MB`;
}

function print({ stores, counts, findings, disk_free_gb, memory_available_gb }: Diagnosis): void {
  for (const { role, url, health, error } of stores) {
    const rows = Object.entries(counts[role] ?? {}).map(([name, n]) => `${n} ${name}`).join(", ");
    const line = health === null
      ? styleText("red", `✖ ${role.padEnd(10)} ${url}: ${error}`)
      : `${styleText("green", "✔")} ${role.padEnd(10)} ${health.adapter} ${health.version}, ` +
        `${health.latency_ms.toFixed(1)} ms${sizeText(health.bytes)}, ${url}${
          rows === "" ? "" : `: ${rows}`
        }`;
    console.log(line);
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
