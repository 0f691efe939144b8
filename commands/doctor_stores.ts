import type { Config } from "../lib/config.ts";
import { paged } from "../lib/core/batches.ts";
import { iso, systemClock } from "../lib/core/clock.ts";
import { counted as countedText } from "../lib/core/text.ts";
import { reasonOf } from "../lib/core/errors.ts";
import { showUrl } from "../lib/core/show_url.ts";
import {
  type DirtyUser,
  type Health,
  type HealthOptions,
  type ModelIdentity,
  modelKey,
  parseModelKey,
  type Published,
} from "../lib/core/types.ts";
import { openEmbedder } from "../lib/embed/open.ts";
import { checkAnomalies, type CheckedStores, type Finding } from "../lib/data_checks/data_checks.ts";
import { emptiedStore, type RefillableStores } from "../lib/monitoring/emptied_store.ts";
import { indexAnomalies } from "../lib/monitoring/index_anomalies.ts";
import { modelMismatch } from "../lib/monitoring/model_mismatch.ts";
import { decodeItemWeights, ITEM_WEIGHTS_FILE } from "../lib/recommend/item_item_file.ts";
import { decodeWording } from "../lib/recommend/wording_file.ts";
import { pendingErasures } from "../lib/privacy/erase_users.ts";
import { WORDING_FILE } from "../lib/stores/analytics/port.ts";
import * as open from "../lib/stores/open.ts";
import type { RunRecord, RunStore } from "../lib/stores/runs/port.ts";
import type { VectorStore, VectorStores } from "../lib/stores/vectors/port.ts";
import { findingOf } from "./known_problems.ts";
import { runInProgress } from "./inspect.ts";
import { embedderOptions, modelName } from "./models.ts";

export interface OpenedStore {
  health(options?: HealthOptions): Promise<Health>;
  close(): Promise<void>;
}

/** The stores as they are opened; those of data belong together. */
export type Stores = Omit<CheckedStores, "vectors"> & {
  readonly vectors: VectorStores;
  readonly runs: RunStore;
};

/** How one store is. `url` is as {@link placeOf} has it; `error` says what to do. A store that answers may yet not be read. */
export interface StoreReport {
  readonly role: Role;
  readonly url: string;
  readonly health: Health | null;
  readonly error: string | null;
}

export const ROLES = {
  documents: open.openDocuments,
  analytics: open.openAnalytics,
  vectors: open.openVectors,
  graph: open.openGraph,
  runs: open.openRuns,
  cache: open.openCache,
  artifacts: open.openArtifacts,
} as const;
export type Role = keyof typeof ROLES;

/** Dirty users that are read at a time. */
const DIRTY_USERS = 1_000;
/** Above this many bytes it is said beforehand that reading a store takes a while. */
const LARGE = 1e9;

/** Opens a store; returns why it could not be, by role. */
export async function openRole(
  config: Config,
  role: Role,
  opened: Map<Role, OpenedStore>,
  options: open.OpenOptions,
): Promise<[Role, string | null]> {
  try {
    opened.set(role, await ROLES[role](config[role], options));
    return [role, null];
  } catch (error) {
    return [role, reasonOf(error)];
  }
}

/** A store's URL to show. Embedded vectors are the files in a folder. */
function placeOf(config: Config, role: Role): string {
  return role === "vectors" ? showUrl(open.vectorUrl(config.vectors)) : showUrl(config[role]);
}

/** Reads a store's files in full, and checks whether it has the published version. */
export async function examine(
  config: Config,
  role: Role,
  opened: ReadonlyMap<Role, OpenedStore>,
  failures: ReadonlyMap<Role, string | null>,
): Promise<StoreReport> {
  const url = placeOf(config, role);
  const store = opened.get(role);
  if (store === undefined) return { role, url, health: null, error: failures.get(role) ?? null };
  try {
    const { bytes, adapter } = await store.health();
    if (adapter === "sqlite" && bytes !== null && bytes > LARGE) {
      console.error(`reading ${role}, ${(bytes / 1e9).toFixed(1)} GB: about ${Math.ceil(4e-9 * bytes)} s`);
    }
    return { role, url, health: await store.health({ thorough: true }), error: await emptied(role, opened) };
  } catch (error) {
    return { role, url, health: null, error: reasonOf(error) };
  }
}

async function emptied(role: Role, opened: ReadonlyMap<Role, OpenedStore>): Promise<string | null> {
  const { documents, analytics, vectors, graph }: Partial<RefillableStores> = Object.fromEntries(opened);
  if (!documents || !analytics || !vectors || !graph) return null;
  return (await emptiedStore(role, { documents, analytics, vectors, graph }))?.message ?? null;
}

/** How often a store is asked for its latency. */
const LATENCY_SAMPLES = 3;

/**
 * How fast a store answers one question: the median of a few that are asked one after the other, since the first ones also load
 * a client and connect. Null if it no longer responds.
 */
export async function latencyOf(store: Pick<OpenedStore, "health">): Promise<number | null> {
  const all: number[] = [];
  try {
    while (all.length < LATENCY_SAMPLES) all.push((await store.health()).latency_ms);
  } catch {
    return null;
  }
  return all.sort((a, b) => a - b)[Math.floor(LATENCY_SAMPLES / 2)]!;
}

/** Reads stores; one that cannot be read, though it answers, is noted and keeps no other from being read. */
export class StoreReader {
  /** By role, the first thing that went wrong. */
  readonly errors = new Map<string, string>();

  /** Null without a store, or if the store cannot be read. */
  async read<S, T>(
    role: Role,
    store: S | undefined | null,
    read: (store: S) => Promise<T>,
  ): Promise<T | null> {
    if (store === undefined || store === null) return null;
    try {
      return await read(store);
    } catch (error) {
      if (!this.errors.has(role)) {
        this.errors.set(role, `it responds, but cannot be read: ${reasonOf(error)}`);
      }
      return null;
    }
  }
}

/** Counts each store's rows and holds the stores against each other. Of vectors, those count that answers are made from. */
export async function examineData(
  config: Config,
  { documents, analytics, vectors: sets, graph, runs }: Partial<Stores>,
  reader: StoreReader,
): Promise<{ counts: Record<string, Record<string, number>>; findings: Finding[] }> {
  const published = await reader.read("analytics", analytics, (store) => store.published());
  const configured = await configuredModel(config);
  const model = published === null ? configured : parseModelKey(published.model);
  const vectors = typeof model === "string"
    ? null
    : await reader.read("vectors", sets, (stores) => writtenVectors(stores, { published, model }));
  const data = { documents, analytics, vectors, graph };
  const counts: Record<string, Record<string, number>> = {};
  for (const role of Object.keys(data) as (keyof typeof data)[]) {
    const counted = await reader.read(role, data[role], async (store) => ({ ...await store.counts() }));
    if (counted !== null) counts[role] = counted;
  }
  const unreadable: Finding[] = [];
  const log = (text: string) => unreadable.push(unreadableModel(text));
  await reader.read("vectors", sets, (stores) => stores.models({ thorough: true, log }));
  const underWay = await reader.read("runs", runs, runInProgress);
  const isComplete = Object.keys(counts).length === Object.keys(data).length && underWay === null;
  const compared = isComplete
    ? await reader.read(
      "vectors",
      data as CheckedStores,
      async (stores) => (await checkAnomalies(stores, systemClock.now())).map(findingOf),
    )
    : [];
  const modelFindings = typeof configured === "string"
    ? [noEmbedder(configured)]
    : otherModelFindings(config, published, configured);
  const indexes = published === null ? null : await reader.read("vectors", sets, async (all) => {
    const stores = { analytics: { published: () => Promise.resolve(published) }, vectors: all };
    return (await indexAnomalies(stores, systemClock.now())).map(findingOf);
  });
  const files = published === null
    ? null
    : await reader.read("analytics", analytics, (store) => fileFindings(store, published));
  const erasures = await reader.read("analytics", analytics, erasureFindings);
  return {
    counts,
    findings: [
      ...erasures ?? [],
      ...compared ?? [],
      ...underWay === null ? [] : [notCompared(underWay)],
      ...published === null && underWay === null && counts.analytics ? unpublished(counts) : [],
      ...indexes ?? [],
      ...files ?? [],
      ...unreadable,
      ...modelFindings,
    ],
  };
}

/** How long after it began an erasure is still about to be completed. */
const ERASURE_MS = 3_600_000;

/** Erasures that no run has completed. They name no user. */
async function erasureFindings(store: Stores["analytics"]): Promise<Finding[]> {
  const until = iso(systemClock.now() - ERASURE_MS);
  const { length: pending } = await pendingErasures(store, { until });
  if (pending === 0) return [];
  const text = `${
    countedText(pending, "erasure")
  } began more than an hour ago and left copies in files: run \`deno task user erase\``;
  return [{ code: "erasure_pending", severity: "warning", figure: pending, expected: 0, text }];
}

/** The vectors of a model; null before the first run has written any, which is no fault. */
async function writtenVectors(
  stores: VectorStores,
  { published, model }: { published: Published | null; model: ModelIdentity },
): Promise<VectorStore | null> {
  const isWritten = published !== null ||
    (await stores.models()).some((identity) => modelKey(identity) === modelKey(model));
  return isWritten ? await stores.forModel({ model }) : null;
}

/** Needs no sources. */
const REBUILD = "run `deno task pipeline run reembed`, which builds a new version from the stored rows";

const VERSION_FILES = { [ITEM_WEIGHTS_FILE]: decodeItemWeights, [WORDING_FILE]: decodeWording };

/** Problems of the files that serve answers. */
async function fileFindings(store: Stores["analytics"], { version }: Published): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const [name, decode] of Object.entries(VERSION_FILES)) {
    const file = await store.file({ version, name });
    try {
      if (file !== null) await decode(file);
    } catch (error) {
      findings.push(damaged("damaged_file", `${reasonOf(error)}: ${REBUILD}`));
    }
  }
  return findings;
}

function damaged(code: string, text: string): Finding {
  return { code, severity: "critical", figure: 1, expected: 0, text };
}

/** The model that is set, or why it cannot be opened. */
async function configuredModel(config: Config): Promise<ModelIdentity | string> {
  const embedder = await openEmbedder({ ...embedderOptions(config), sessions: 1 }).catch(reasonOf);
  if (typeof embedder === "string") return embedder;
  await embedder.close();
  return embedder.model;
}

function otherModelFindings(
  config: Pick<Config, "embeddings">,
  published: Published | null,
  model: ModelIdentity,
): Finding[] {
  const text = modelMismatch({ published, model, name: modelName(config.embeddings) });
  if (text === null || published === null) return [];
  const { dimension: expected } = parseModelKey(published.model);
  return [{ code: "other_model", severity: "critical", figure: model.dimension, expected, text }];
}

function notCompared({ run_id }: RunRecord): Finding {
  const text =
    `run ${run_id} is in progress, so the stores were not compared; if no process is executing it, ` +
    "`deno task pipeline work` continues it";
  return { code: "run_in_progress", severity: "warning", figure: 1, expected: 0, text };
}

/** Until the first publish there is no answer: critical, if there is something that could be in one. */
function unpublished({ documents, analytics }: Record<string, Record<string, number>>): Finding[] {
  const stored = [
    [documents?.messages ?? 0, "message"],
    [analytics?.campaigns ?? 0, "campaign"],
    [analytics?.events ?? 0, "event"],
  ] as const;
  const figure = stored.reduce((sum, [count]) => sum + count, 0);
  if (figure === 0) return [];
  const rows = stored.flatMap(([count, noun]) => count === 0 ? [] : [countedText(count, noun)]).join(", ");
  const text = `nothing is published, so there are no answers, although stores have ${rows}: ` +
    "run `deno task pipeline`, which derives and publishes what is stored";
  return [{ code: "unpublished", severity: "critical", figure, expected: 0, text }];
}

/** Users whose rows were written since a run derived them; a process of the API may have derived them meanwhile. */
export async function countDirtyUsers(
  { documents, analytics }: Partial<Stores>,
  reader: StoreReader,
): Promise<number | null> {
  const ids = new Set<string>();
  for (const [role, store] of Object.entries({ documents, analytics })) {
    const counted = await reader.read(role as Role, store, async (dirty) => {
      const page = (after: string | null, limit: number) => dirty.listDirtyUsers({ after, limit });
      for await (const { user_id } of paged<DirtyUser>(DIRTY_USERS, (user) => user.user_id, page)) {
        ids.add(user_id);
      }
      return ids.size;
    });
    if (counted === null) return null;
  }
  return ids.size;
}

function noEmbedder(text: string): Finding {
  return { code: "no_embedder", severity: "critical", figure: 0, expected: 1, text };
}

/** Answers are whole without it. */
function unreadableModel(text: string): Finding {
  return { code: "unreadable_model", severity: "warning", figure: 0, expected: 1, text };
}
