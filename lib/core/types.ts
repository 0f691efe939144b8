import { ParleyError } from "./errors.ts";

/** The nouns that every layer shares. Times are ISO 8601 in UTC with milliseconds; `null` says absent. */

/** Any value that survives JSON. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };
export type JsonObject = { readonly [key: string]: Json };

export type Role = "user" | "assistant";

export interface Message {
  readonly message_id: string;
  readonly user_id: string;
  readonly message: string;
  readonly timestamp: string;
  readonly conversation_id: string | null;
  readonly role: Role;
  readonly intent: string | null;
  readonly campaign_id: string | null;
  readonly metadata: JsonObject | null;
}

/** What is recommended. `intents` are the intents that it answers, in the order of the input. */
export interface Campaign {
  readonly campaign_id: string;
  readonly title: string;
  readonly description: string | null;
  /** Other names of it. */
  readonly aliases: readonly string[];
  readonly intents: readonly string[];
  readonly category: string | null;
  readonly tags: readonly string[];
  readonly starts_at: string | null;
  readonly ends_at: string | null;
  readonly status: "active" | "paused" | "ended";
  /** Days after which it may be shown again to a user who converted on it; null: as the setting says. */
  readonly repurchase_days: number | null;
  readonly metadata: JsonObject | null;
}

export const EVENT_TYPES = ["impression", "click", "conversion", "dismissal"] as const;
export type EventType = typeof EVENT_TYPES[number];

export interface EngagementEvent {
  readonly event_id: string;
  readonly user_id: string;
  readonly campaign_id: string;
  readonly type: EventType;
  readonly timestamp: string;
  readonly conversation_id: string | null;
  /** The answer that it belongs to, as that answer named itself; stored as it came in. */
  readonly recommendation_id: string | null;
  /** The campaign's place in that answer, from 1. */
  readonly position: number | null;
  readonly metadata: JsonObject | null;
}

/** The three kinds of input, each with the row that it becomes. */
export interface Rows {
  readonly messages: Message;
  readonly campaigns: Campaign;
  readonly events: EngagementEvent;
}
export type Kind = keyof Rows;
export const KINDS = ["messages", "campaigns", "events"] as const satisfies readonly Kind[];

/** What one keyed upsert did. Every row given is counted in exactly one of the three. */
export interface WriteCounts {
  readonly inserted: number;
  readonly changed: number;
  readonly same: number;
}

/**
 * Gets the id of each row that an upsert was given, what became of it, and of a changed row the user that it belonged to before:
 * a row may move to another user.
 */
export type OnOutcome = (id: string, outcome: keyof WriteCounts, owner_before: string | null) => void;

/**
 * A user with writes from which nothing was derived yet. `token` names the newest of them: clearing with an older token leaves
 * the user dirty.
 */
export interface DirtyUser {
  readonly user_id: string;
  readonly token: string;
}

/** An input row that was refused, with its position. `raw` may hold personal text and never reaches a log. */
export interface QuarantinedRow {
  readonly run_id: string;
  readonly kind: Kind;
  readonly source: string;
  /** 1-based line in NDJSON, 1-based item in a JSON array. */
  readonly position: number;
  /** What is wrong, without quoting the row's text. */
  readonly reason: string;
  readonly raw: string;
  readonly at: string;
}

/** `thorough` reads all of an embedded store's files, about 4 s for each GB, and rejects if one is damaged. */
export interface HealthOptions extends Abortable {
  readonly thorough?: boolean;
}

/** Which engine a store is, how long a trivial query took, and how large it is. */
export interface Health {
  readonly adapter: string;
  readonly version: string;
  readonly latency_ms: number;
  /** Bytes on disk with indexes, or in memory for a cache; null if the engine does not report them. */
  readonly bytes: number | null;
}

/**
 * How one vector is made of many: the `mean` of all tokens' states, the first token's (`cls`), or as a `remote` endpoint
 * does without saying. With `+windows` a long text is read in parts, and its vector is the mean of theirs.
 */
const POOLINGS = ["mean", "cls", "remote", "mean+windows", "cls+windows", "remote+windows"] as const;
export type Pooling = typeof POOLINGS[number];

/** What made a vector. Vectors of different identities are never compared. */
export interface ModelIdentity {
  readonly name: string;
  /**
   * First 16 hex digits of the SHA-256 of the weights, or what is known of the endpoint's revision; then, after a `+`, a short
   * hash of what else changes vectors, such as prompts. Without `@`.
   */
  readonly revision: string;
  readonly dimension: number;
  readonly pooling: Pooling;
}

/** One line that identifies a model, as stored with vectors and in lineage. */
export function modelKey(model: ModelIdentity): string {
  return `${model.name}@${model.revision}/${model.dimension}/${model.pooling}`;
}

/** The model that {@link modelKey} names; throws `invalid` for any other text. */
export function parseModelKey(key: string): ModelIdentity {
  const [, name, revision, dimension, pooling] =
    /^(.+)@([^@]*)\/([1-9]\d*)\/([a-z]+(?:\+[a-z]+)?)$/s.exec(key) ?? [];
  if (name === undefined || revision === undefined) {
    throw new ParleyError("invalid", `"${key}" does not name a model`);
  }
  return { name, revision, dimension: Number(dimension), pooling: pooling as ModelIdentity["pooling"] };
}

/** A row in analytics that says which derived data a request is answered from. */
export interface Published {
  /** Grows by one with each publish. */
  readonly version: number;
  readonly previous: number | null;
  readonly run_id: string;
  /** The {@link modelKey} of the model that made its vectors. */
  readonly model: string;
  readonly at: string;
}

/** What a task leaves for its dependents: a reference, never the rows. `sha256` is of the bytes written. */
export interface Artifact {
  readonly uri: string;
  readonly rows: number;
  readonly bytes: number;
  readonly sha256: string;
}

/** Options of calls that can be aborted: an aborted call rejects with the signal's reason soon, whatever the store does. */
export interface Abortable {
  readonly signal?: AbortSignal | undefined;
}

/** Which rows to give: at most `limit`, in ascending key, after `after`. */
export interface PageOptions extends Abortable {
  readonly after: string | null;
  readonly limit: number;
}

/** What an API key may do. Each scope includes those before it. */
export const SCOPES = ["read", "write", "admin"] as const;
export type Scope = typeof SCOPES[number];

/** Whether one of these scopes is `scope` or includes it. */
export function allows(scopes: readonly Scope[], scope: Scope): boolean {
  return scopes.some((own) => SCOPES.indexOf(own) >= SCOPES.indexOf(scope));
}

/** A key of the API. `key` is secret and never logged. */
export interface ApiKey {
  readonly key: string;
  readonly scopes: readonly Scope[];
}

/** Counts and latencies of the answers of one process in one or more minutes. */
export interface ServingSpan {
  /** When it began. */
  readonly at: string;
  readonly requests: number;
  /** Answered with 500 or above. */
  readonly errors: number;
  /** Answered from the cache. */
  readonly hits: number;
  /** Answered without the part of a store that failed. */
  readonly degraded: number;
  /** Latencies in milliseconds, within 5 %; null without such answers. */
  readonly p50_ms: number | null;
  readonly p95_ms: number | null;
  /** Of the answers from the cache, and of the others. */
  readonly hit_p95_ms: number | null;
  readonly made_p95_ms: number | null;
}

/** The lowest level that is logged. */
export const LOG_LEVELS = ["debug", "info", "warning", "error", "off"] as const;
export type LogLevel = typeof LOG_LEVELS[number];
