import { type Clock, iso } from "../core/clock.ts";
import { messageOf, ParleyError } from "../core/errors.ts";
import {
  type Abortable,
  type Campaign,
  type EngagementEvent,
  type Kind,
  type Message,
  modelKey,
  type OnOutcome,
  parseModelKey,
  type Published,
  type QuarantinedRow,
  type Rows,
  type WriteCounts,
} from "../core/types.ts";
import { deriveCampaigns } from "../derive/derive_campaigns.ts";
import { deriveUsers } from "../derive/derive_users.ts";
import type { Embedder } from "../embed/port.ts";
import { type Classifier, openClassifier } from "../intents/classifier_store.ts";
import { classifySome } from "../intents/classify_messages.ts";
import { ErasedUsers } from "../privacy/erased_users.ts";
import { markCatalogueChanged } from "../recommend/answer_cache.ts";
import { EventArms } from "../recommend/event_arms.ts";
import type { CampaignNames } from "../recommend/mentions.ts";
import { parseRow, rawOf } from "../schema/row.ts";
import { timeWindow } from "../schema/time.ts";
import type { AnalyticsStore } from "../stores/analytics/port.ts";
import type { Cache } from "../stores/cache/port.ts";
import type { DocumentStore } from "../stores/documents/port.ts";
import type { GraphStore } from "../stores/graph/port.ts";
import type { VectorStore, VectorStores } from "../stores/vectors/port.ts";
import { DerivationQueue } from "./derivation_queue.ts";
import { type ParsedRows, parseRows, rejected, type RowResult } from "./parse_rows.ts";

export interface OnlineStores {
  readonly documents: DocumentStore;
  readonly analytics: AnalyticsStore;
  readonly vectors: VectorStores;
  readonly graph: GraphStore;
  readonly cache: Pick<Cache, "set">;
}

interface OnlineWriterOptions {
  readonly stores: OnlineStores;
  readonly clock: Clock;
  /** Opens the configured model. Without it rows are stored, and the next run derives them. */
  readonly embedder?: () => Promise<Embedder>;
  /** The names of all campaigns now. */
  readonly names: (options: Abortable) => Promise<CampaignNames>;
  /** Gets the ids of campaigns that were just changed or deleted. */
  readonly onCampaignsChanged?: (campaign_ids: readonly string[]) => void;
  /** What ids of answers are signed with; default the secret that analytics keeps. */
  readonly secret?: () => Promise<Uint8Array>;
  /** Epoch milliseconds before which no message or event is taken. Default 1990. */
  readonly earliest?: number;
  /** Minutes of silence after which a user's next message begins another conversation. Default 30. */
  readonly conversation_gap_minutes?: number;
  /** Gets a line about what could not be derived. It quotes nothing and names no id. */
  readonly warn?: (line: string) => void;
}

/** Where rows come from, for the quarantine. */
interface Origin extends Abortable {
  /** Such as `POST /messages`. */
  readonly endpoint: string;
  readonly request_id: string;
}

interface Written {
  /** One for each row, in their order. */
  readonly results: readonly RowResult[];
  readonly counts: WriteCounts & { readonly rejected: number };
}

const NO_USERS: ReadonlySet<string> = new Set();
/** Users of one request whose answers wait for what it wrote: one that writes more is a bulk load, which is not followed by reads. */
const MAX_AWAITED = 16;
/** The run that refused rows of requests name. */
const QUARANTINE_RUN = "online";
/** How long closing waits for what is being derived. */
const CLOSE_TIMEOUT_MS = 5_000;

/**
 * Writes rows of requests by the schemas, upserts and derivation of the nightly run. A write resolves once the rows are stored;
 * what follows from them is derived right after that, and then the user's epoch is raised, so that no process answers from its cache.
 * A user whose rows are stored is dirty until a run has derived them: if this process ends before it has, that run does.
 */
export class OnlineWriter {
  private readonly users: DerivationQueue;
  private readonly campaigns: DerivationQueue;
  private classifier: { readonly version: number; readonly opened: Promise<Classifier | null> } | null = null;

  private readonly erasedUsers: ErasedUsers;
  private readonly arms: EventArms;
  private isMismatchReported = false;

  constructor(private readonly options: OnlineWriterOptions) {
    const { warn = () => {} } = options;
    this.erasedUsers = new ErasedUsers(options.stores.analytics);
    this.arms = new EventArms(options.secret ?? (() => options.stores.analytics.secret()));
    this.users = new DerivationQueue({
      noun: "user",
      keep_ms: (options.conversation_gap_minutes ?? 30) * 60_000,
      derive: (ids, signal) => this.deriveUsers(ids, signal),
      warn,
    });
    this.campaigns = new DerivationQueue({
      noun: "campaign",
      derive: (ids, signal) => this.deriveCampaigns(ids, signal),
      warn,
    });
  }

  /** Stores the rows of a request. A dismissal or conversion counts in the user's next answer, which reads them. */
  async write(kind: Kind, values: readonly unknown[], origin: Origin): Promise<Written> {
    const { documents, analytics } = this.options.stores;
    const { signal } = origin;
    const derive = (rows: readonly (Message | EngagementEvent)[], owners_before: Iterable<string>) => {
      const ids = new Set([...owners_before, ...rows.map(({ user_id }) => user_id)]);
      // Each answer that is shown is followed by its impressions, which hardly change the next one.
      const telling = rows.filter((row) => !("type" in row) || row.type !== "impression");
      const awaited = ids.size > MAX_AWAITED ? NO_USERS : new Set(telling.map(({ user_id }) => user_id));
      this.users.add(ids, { awaited });
    };
    switch (kind) {
      case "messages":
        return await this.store(kind, values, origin, {
          upsert: async (rows, onOutcome) => {
            const write = (messages: readonly Message[]) => documents.upsert({ messages, onOutcome, signal });
            const undo = (user_ids: string[]) => documents.deleteUsers({ user_ids, signal });
            return (await this.erasedUsers.write(rows, { write, undo, signal })).refused;
          },
          derive,
        });
      case "events":
        return await this.store(kind, values, origin, {
          upsert: async (rows, onOutcome) => {
            const write = async (events: readonly EngagementEvent[]) =>
              await analytics.upsertEvents({ events: await this.arms.assign(events), onOutcome, signal });
            const undo = (user_ids: string[]) => analytics.deleteUsers({ user_ids, signal });
            return (await this.erasedUsers.write(rows, { write, undo, signal })).refused;
          },
          derive,
        });
      case "campaigns":
        return await this.store(kind, values, origin, {
          upsert: async (campaigns, onOutcome) => {
            await analytics.upsertCampaigns({ campaigns, onOutcome, signal });
            return NO_USERS;
          },
          derive: (rows) => {
            const ids = rows.map(({ campaign_id }) => campaign_id);
            this.options.onCampaignsChanged?.(ids);
            this.campaigns.add(ids);
          },
        });
    }
  }

  private async store<K extends Kind>(
    kind: K,
    values: readonly unknown[],
    origin: Origin,
    { upsert, derive }: {
      /** Returns the users whose rows are refused, since they are erased. */
      readonly upsert: (rows: Rows[K][], onOutcome: OnOutcome) => Promise<ReadonlySet<string>>;
      /** Gets the written rows, and the users that changed ones belonged to before. */
      readonly derive: (rows: Rows[K][], owners_before: Iterable<string>) => void;
    },
  ): Promise<Written> {
    const { clock, earliest } = this.options;
    const window = timeWindow({ now: clock.now(), ...earliest !== undefined && { earliest } });
    const parsed = parseRows({ kind, values, window });
    await this.quarantine(kind, values, parsed, origin);
    const outcomes = new Map<string, keyof WriteCounts>();
    const owners_before = new Set<string>();
    const rows = [...parsed.rows.values()];
    const onOutcome: OnOutcome = (id, outcome, owner_before) => {
      outcomes.set(id, outcome);
      if (owner_before !== null) owners_before.add(owner_before);
    };
    const refused = rows.length === 0 ? NO_USERS : await upsert(rows, onOutcome).catch((error) => {
      // They may be stored, and are the same if they are sent again.
      derive(rows, owners_before);
      throw error;
    });
    const isRefused = (row: Rows[K]) => "user_id" in row && refused.has(row.user_id);
    derive(
      [...parsed.rows].flatMap(([id, row]) => outcomes.get(id) === "same" || isRefused(row) ? [] : [row]),
      owners_before,
    );
    const counts = { inserted: 0, changed: 0, same: 0, rejected: 0 };
    const results = parsed.results.map((result, at): RowResult => {
      if ("status" in result) return result;
      if (isRefused(parsed.rows.get(result.id)!)) return rejected("the user is erased", [at, "user_id"]);
      const status = outcomes.get(result.id) ?? "same";
      // What an identical row was written as counts once.
      outcomes.set(result.id, "same");
      return { status, id: result.id };
    });
    for (const { status } of results) counts[status]++;
    return { results, counts };
  }

  private async quarantine<Row>(
    kind: Kind,
    values: readonly unknown[],
    { results }: ParsedRows<Row>,
    { endpoint, request_id, signal }: Origin,
  ): Promise<void> {
    const at = iso(this.options.clock.now());
    const rows = results.flatMap((result, index): QuarantinedRow[] => {
      if (!("status" in result)) return [];
      const raw = rawOf(JSON.stringify(values[index]) ?? "");
      const source = `${endpoint} ${request_id}`;
      return [{ run_id: QUARANTINE_RUN, kind, source, position: index + 1, reason: result.reason, raw, at }];
    });
    if (rows.length === 0) return;
    await this.erasedUsers.quarantine(this.options.stores.documents, rows, { signal });
  }

  /**
   * Replaces fields of a campaign by those of a JSON merge patch (RFC 7396): null removes one.
   *
   * @throws `not_found` if it does not exist, `invalid` if it would not be valid.
   */
  async changeCampaign(
    campaign_id: string,
    patch: Readonly<Record<string, unknown>>,
    { signal }: Abortable = {},
  ): Promise<Campaign> {
    const { stores: { analytics }, clock } = this.options;
    const window = timeWindow({ now: clock.now() });
    const change = (before: Campaign) => {
      const parsed = parseRow({ kind: "campaigns", value: mergePatch(before, patch), window });
      if (!parsed.ok) throw new ParleyError("invalid", parsed.reason);
      if (parsed.row.campaign_id !== campaign_id) {
        throw new ParleyError(
          "invalid",
          "campaign_id cannot be changed: store a new campaign, and delete this one",
        );
      }
      return parsed.row;
    };
    const changed = await analytics.changeCampaign({ campaign_id, change, signal });
    if (changed === null) throw notFound(campaign_id);
    this.options.onCampaignsChanged?.([campaign_id]);
    this.campaigns.add([campaign_id]);
    return changed;
  }

  /**
   * Deletes a campaign from the catalogue, the indexes and the graph; its events stay. It is in no answer from then on.
   *
   * @throws `not_found` if no store has it.
   */
  async deleteCampaign(campaign_id: string, { signal }: Abortable = {}): Promise<void> {
    const { analytics, vectors, graph, cache } = this.options.stores;
    const campaign_ids = [campaign_id];
    // First from the catalogue: what is in no catalogue is never shown.
    let deleted = await analytics.deleteCampaigns({ campaign_ids, signal });
    this.options.onCampaignsChanged?.(campaign_ids);
    const { catalogue } = await analytics.epochs({ user_id: "", signal });
    // The cache may be down: then it serves no answers either.
    await markCatalogueChanged({ cache, epoch: catalogue }).catch(() => {});
    for (const model of await vectors.models({ signal })) {
      const store = await vectors.forModel({ model, signal });
      deleted += await store.deleteCampaigns({ campaign_ids, signal });
    }
    await this.usePublishedModel({ signal });
    deleted += await graph.deleteCampaigns({ campaign_ids, signal });
    if (deleted === 0) throw notFound(campaign_id);
  }

  /** The health of vectors is that of the model that was asked for last. */
  private async usePublishedModel({ signal }: Abortable): Promise<void> {
    const { analytics, vectors } = this.options.stores;
    const published = await analytics.published({ signal });
    if (published !== null) await vectors.forModel({ model: parseModelKey(published.model), signal });
  }

  /** How many wait to be derived in this process. */
  waiting(): { readonly users: number; readonly campaigns: number } {
    return { users: this.users.waiting, campaigns: this.campaigns.waiting };
  }

  /**
   * Whether what this process has stored of a user is derived, once that is known: messages, and events other than impressions. Null if
   * there is nothing to wait for, or it came with rows of so many users that no answer is to wait for it.
   */
  derived(user_id: string): Promise<boolean> | null {
    return this.users.derived(user_id);
  }

  /** Resolves when all that was written is derived. */
  async idle(): Promise<void> {
    await Promise.all([this.users.idle(), this.campaigns.idle()]);
  }

  /** Waits up to five seconds for what is being derived. */
  async close(): Promise<void> {
    await Promise.all([this.users.close(CLOSE_TIMEOUT_MS), this.campaigns.close(CLOSE_TIMEOUT_MS)]);
  }

  private async deriveUsers(user_ids: readonly string[], signal: AbortSignal): Promise<boolean> {
    const { stores, names, conversation_gap_minutes = 30 } = this.options;
    const means = await this.means(signal);
    if (means === null) return false;
    const { writer, published } = means;
    const classifier = await this.classifierOf(published, signal);
    const classify = async (messages: readonly Message[]) => {
      if (classifier === null) return;
      await classifySome(
        { classifier, documents: stores.documents, vectors: writer.store, signal },
        messages,
      );
    };
    const gap_ms = conversation_gap_minutes * 60_000;
    await deriveUsers(
      { ...writer, stores, names: await names({ signal }), gap_ms, classify, signal },
      user_ids,
    );
    // An epoch is a row that names the user, too.
    await this.erasedUsers.write(user_ids.map((user_id) => ({ user_id })), {
      write: (users) =>
        stores.analytics.raiseEpochs({
          user_ids: users.map(({ user_id }) => user_id),
          campaign_ids: [],
          signal,
        }),
      undo: (erased) => stores.analytics.deleteUsers({ user_ids: erased, signal }),
      signal,
    });
    return true;
  }

  private async deriveCampaigns(campaign_ids: readonly string[], signal: AbortSignal): Promise<boolean> {
    const { analytics, graph } = this.options.stores;
    const means = await this.means(signal);
    if (means === null) return false;
    await deriveCampaigns({ ...means.writer, analytics, graph, signal }, campaign_ids);
    await analytics.raiseEpochs({ user_ids: [], campaign_ids, signal });
    return true;
  }

  /** Null if nothing is published or there is no model of it: then the next run derives what is stored. */
  private async means(
    signal: AbortSignal,
  ): Promise<{ published: Published; writer: { embedder: Embedder; store: VectorStore } } | null> {
    const { stores: { analytics, vectors }, embedder: open } = this.options;
    const published = await analytics.published({ signal });
    if (published === null || open === undefined) return null;
    const embedder = await open().catch((error) => {
      throw new ParleyError("unavailable", `the embedding model cannot be opened: ${messageOf(error)}`);
    });
    if (modelKey(embedder.model) !== published.model) {
      if (!this.isMismatchReported) {
        const [ours, theirs] = [modelKey(embedder.model), published.model];
        this.options.warn?.(
          `what is written online waits for a run: PARLEY_EMBEDDINGS is ${ours}, and answers come from ${theirs}`,
        );
      }
      this.isMismatchReported = true;
      return null;
    }
    this.isMismatchReported = false;
    const store = await vectors.forModel({ model: parseModelKey(published.model), signal });
    return { published, writer: { embedder, store } };
  }

  /** The classifier of the published model, opened again with each data version; null without one. */
  private async classifierOf({ version, model }: Published, signal: AbortSignal): Promise<Classifier | null> {
    if (this.classifier?.version !== version) {
      const { documents, vectors } = this.options.stores;
      const opened = openClassifier({ documents, vectors, signal });
      this.classifier = { version, opened };
      opened.catch(() => this.classifier = null);
    }
    const classifier = await this.classifier.opened;
    return classifier?.model === model ? classifier : null;
  }
}

function notFound(campaign_id: string): ParleyError {
  return new ParleyError("not_found", `there is no campaign ${JSON.stringify(campaign_id)}`);
}

function mergePatch(target: unknown, patch: unknown): unknown {
  if (typeof patch !== "object" || patch === null || Array.isArray(patch)) return patch;
  const isObject = typeof target === "object" && target !== null && !Array.isArray(target);
  const merged: Record<string, unknown> = isObject ? { ...target } : {};
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete merged[name];
    else merged[name] = mergePatch(merged[name], value);
  }
  return merged;
}
