import type { Abortable, Health, HealthOptions } from "../../core/types.ts";
import type { Engagement, EngagementCounts } from "../analytics/port.ts";
import type { IntentCount } from "../documents/port.ts";
import type { TombstoneStore } from "../tombstones/port.ts";
import type { BulkWriter } from "../bulk/port.ts";

/** `(:Campaign)-[:TARGETS]->(:Intent)`. */
export interface Target {
  readonly campaign_id: string;
  readonly intent: string;
}

/** What a conversation led to: what its user did with one campaign in it or shortly after it. */
export interface ConversationEngagement extends EngagementCounts {
  readonly conversation_id: string;
  readonly user_id: string;
  readonly campaign_id: string;
}

/** A conversation with what it led to, a row for each campaign. A `conversation_id` belongs to one user. */
export interface EngagedConversation {
  readonly conversation_id: string;
  readonly user_id: string;
  readonly engagement: readonly Omit<ConversationEngagement, "conversation_id" | "user_id">[];
}

export interface GraphCounts {
  readonly users: number;
  readonly intents: number;
  /** Campaigns with targets, also with none: those of the catalogue. Events may name others. */
  readonly campaigns: number;
  /** Conversations that led to engagement; others are not stored. */
  readonly conversations: number;
  readonly expressed: number;
  readonly engaged: number;
  readonly led_to: number;
  readonly targets: number;
}

/** The edges of a type as they are stored. TARGETS are those of a campaign, which may be none. */
export interface GraphEdges {
  readonly targets: { readonly campaign_id: string; readonly intents: readonly string[] };
  readonly expressed: IntentCount;
  readonly engaged: Engagement;
  readonly led_to: ConversationEngagement;
}
export type EdgeType = keyof GraphEdges;
/** The edges that belong to users. */
export type UserEdgeType = Exclude<EdgeType, "targets">;
export const EDGE_TYPES = [
  "targets",
  "expressed",
  "engaged",
  "led_to",
] as const satisfies readonly EdgeType[];

/**
 * `(:User)-[:EXPRESSED {count, last}]->(:Intent)<-[:TARGETS]-(:Campaign)`,
 * `(:User)-[:ENGAGED {impressions, clicks, conversions, dismissals, last}]->(:Campaign)` and
 * `(:User)-[:HAD]->(:Conversation)-[:LED_TO {impressions, clicks, conversions, dismissals}]->(:Campaign)`.
 * Edges are set from a recount of their keys, never incremented, so a retry changes nothing.
 */
export interface GraphStore extends BulkWriter {
  readonly tombstones: TombstoneStore;
  /** Makes these campaigns' targets exactly the given intents; returns the number of their edges. */
  setTargets(
    options: { campaigns: readonly { campaign_id: string; intents: readonly string[] }[] } & Abortable,
  ): Promise<number>;
  /** Makes these users' EXPRESSED edges exactly the given ones. */
  setExpressed(
    options: { user_ids: readonly string[]; edges: readonly IntentCount[] } & Abortable,
  ): Promise<number>;
  /** Makes these users' ENGAGED edges exactly the given ones. */
  setEngaged(
    options: { user_ids: readonly string[]; edges: readonly Engagement[] } & Abortable,
  ): Promise<number>;
  /**
   * Makes these users' conversations exactly the given ones; returns the LED_TO edges that they have. A conversation
   * that led to nothing is left out; one of another user becomes the given user's.
   */
  setConversations(
    options: { user_ids: readonly string[]; conversations: readonly EngagedConversation[] } & Abortable,
  ): Promise<number>;
  /** What these conversations led to, in ascending conversation and campaign. */
  engagedIn(options: { conversation_ids: readonly string[] } & Abortable): Promise<ConversationEngagement[]>;
  /**
   * What these users engaged in, in ascending user and campaign; for each user at most `limit`: campaigns that they clicked
   * or converted on before others, and of these the newest.
   */
  engagedBy(options: { user_ids: readonly string[]; limit: number } & Abortable): Promise<Engagement[]>;
  /** One user's intents, most expressed first, ties by intent. */
  intentsOf(options: { user_id: string; limit: number } & Abortable): Promise<IntentCount[]>;
  /** Campaigns that target these intents, in ascending campaign and intent. */
  targeting(options: { intents: readonly string[]; limit: number } & Abortable): Promise<Target[]>;
  /** Removes their edges and conversations; returns how many edges. */
  deleteUsers(options: { user_ids: readonly string[] } & Abortable): Promise<number>;
  deleteCampaigns(options: { campaign_ids: readonly string[] } & Abortable): Promise<number>;
  /** All edges of a type, those of one user or campaign one after the other. */
  edges<Type extends EdgeType>(options: { type: Type } & Abortable): AsyncIterable<GraphEdges[Type]>;
  /** All edges of a type of these users, in ascending user. */
  edgesOf<Type extends UserEdgeType>(
    options: { type: Type; user_ids: readonly string[] } & Abortable,
  ): Promise<GraphEdges[Type][]>;
  /** Takes the bytes of deleted edges out of the files, as far as that is in this side's power. */
  compact(options?: Abortable): Promise<void>;
  counts(options?: Abortable): Promise<GraphCounts>;
  /** Whether {@link counts} are all zero; fast for any size. */
  isEmpty(options?: Abortable): Promise<boolean>;
  /** Hash of all edges with their properties, independent of order. */
  digest(options?: Abortable): Promise<string>;
  health(options?: HealthOptions): Promise<Health>;
  close(): Promise<void>;
}
