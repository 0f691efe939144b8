import type { Abortable, Health, HealthOptions } from "../../core/types.ts";
import type { Engagement } from "../analytics/port.ts";
import type { IntentCount } from "../documents/port.ts";

/** `(:Campaign)-[:TARGETS]->(:Intent)`. */
export interface Target {
  readonly campaign_id: string;
  readonly intent: string;
}

export interface GraphCounts {
  readonly users: number;
  readonly intents: number;
  /** Whose targets were set: those of the catalogue. Events may name others. */
  readonly campaigns: number;
  readonly expressed: number;
  readonly engaged: number;
  readonly targets: number;
}

/**
 * `(:User)-[:EXPRESSED {count, last}]->(:Intent)<-[:TARGETS]-(:Campaign)` and
 * `(:User)-[:ENGAGED {impressions, clicks, conversions, dismissals, last}]->(:Campaign)`.
 * Edges are set from a recount of their keys, never incremented, so a retry changes nothing.
 */
export interface GraphStore {
  /** Makes these campaigns' targets exactly the given intents; returns the edges then standing. */
  setTargets(
    o: { campaigns: readonly { campaign_id: string; intents: readonly string[] }[] } & Abortable,
  ): Promise<number>;
  /** Makes these users' EXPRESSED edges exactly the given ones. */
  setExpressed(
    o: { user_ids: readonly string[]; edges: readonly IntentCount[] } & Abortable,
  ): Promise<number>;
  /** Makes these users' ENGAGED edges exactly the given ones. */
  setEngaged(o: { user_ids: readonly string[]; edges: readonly Engagement[] } & Abortable): Promise<number>;
  /** What these users engaged in, in ascending user and campaign; per user the `limit` newest. */
  engagedBy(o: { user_ids: readonly string[]; limit: number } & Abortable): Promise<Engagement[]>;
  /** One user's intents, most expressed first, ties by intent. */
  intentsOf(o: { user_id: string; limit: number } & Abortable): Promise<IntentCount[]>;
  /** Campaigns that target these intents, in ascending campaign and intent. */
  targeting(o: { intents: readonly string[]; limit: number } & Abortable): Promise<Target[]>;
  deleteUsers(o: { user_ids: readonly string[] } & Abortable): Promise<number>;
  deleteCampaigns(o: { campaign_ids: readonly string[] } & Abortable): Promise<number>;
  counts(o?: Abortable): Promise<GraphCounts>;
  /** Hash of all edges with their properties, independent of order. */
  digest(o?: Abortable): Promise<string>;
  health(o?: HealthOptions): Promise<Health>;
  close(): Promise<void>;
}
