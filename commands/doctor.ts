import { statfsSync, styleText } from "../deps.ts";
import type { Config } from "../lib/config.ts";
import { messageOf } from "../lib/core/errors.ts";
import { type Health, modelKey } from "../lib/core/types.ts";
import { openEmbedder } from "../lib/embed/open.ts";
import { checkData, type CheckedStores, type Finding } from "../lib/quality/checks.ts";
import * as open from "../lib/stores/open.ts";
import { EXIT } from "./exit.ts";
import { embedderOptions } from "./services.ts";

interface Opened {
  health(): Promise<Health>;
  close(): Promise<void>;
}

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
  const data = Object.fromEntries(base.map((role) => [role, opened.get(role)])) as unknown as CheckedStores;
  const { bavail, bsize } = statfsSync(config.data.replace(/\/[^/]*$/, "") || "/");
  const disk_free_gb = bavail * bsize / 1e9;
  const findings = [
    ...whole ? await checkData(data) : [],
    ...whole ? await modelFindings(config, data) : [],
    ...disk_free_gb < LITTLE_DISK_GB ? [littleDisk(disk_free_gb)] : [],
  ];
  const counts = whole
    ? Object.fromEntries(
      await Promise.all(base.map(async (role) => [role, { ...await data[role].counts() }])),
    )
    : {};
  return {
    stores,
    counts,
    findings,
    disk_free_gb,
    memory_available_gb: Deno.systemMemoryInfo().available / 1e9,
  };
}

/** Whether the vectors that are stored were made by the model that is configured. */
async function modelFindings(config: Config, { vectors }: CheckedStores): Promise<Finding[]> {
  const stored = await vectors.model();
  if (stored === null) return [];
  const embedder = await openEmbedder({ ...embedderOptions(config), sessions: 1 }).catch(messageOf);
  if (typeof embedder === "string") return [noEmbedder(embedder)];
  await embedder.close();
  if (modelKey(embedder.model) === modelKey(stored)) return [];
  return [{
    code: "other_model",
    severity: "critical",
    figure: embedder.model.dimension,
    expected: stored.dimension,
    text: `the vectors are of ${modelKey(stored)} and PARLEY_EMBEDDINGS is ${modelKey(embedder.model)}: ` +
      "set it back, or start with an empty vector store",
  }];
}

function noEmbedder(text: string): Finding {
  return { code: "no_embedder", severity: "critical", figure: 0, expected: 1, text };
}

function littleDisk(figure: number): Finding {
  const text = `${figure.toFixed(1)} GB of disk are free: make room, or set PARLEY_DATA to a larger disk`;
  return { code: "little_disk", severity: "warning", figure, expected: LITTLE_DISK_GB, text };
}

function print({ stores, counts, findings, disk_free_gb, memory_available_gb }: Diagnosis): void {
  for (const { role, url, health, error } of stores) {
    const rows = Object.entries(counts[role] ?? {}).map(([name, n]) => `${n} ${name}`).join(", ");
    const line = health === null
      ? styleText("red", `✖ ${role.padEnd(10)} ${url}: ${error}`)
      : `${styleText("green", "✔")} ${role.padEnd(10)} ${health.adapter} ${health.version}, ` +
        `${health.latency_ms.toFixed(1)} ms, ${url}${rows === "" ? "" : `: ${rows}`}`;
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
