import type { Abortable } from "../core/types.ts";
import type { Engagement, FinalEngagement, ProfileWords } from "../stores/analytics/port.ts";
import type { IntentCount } from "../stores/documents/port.ts";
import type { GraphStore } from "../stores/graph/port.ts";

/** What is known of the user of a request. */
export interface KnownUser extends UserGraph, UserWords {
  /** The profile, by the published version's model; null if the user said nothing. */
  readonly vector: Float32Array | null;
  /** What the user dismissed or converted on, in ascending campaign. */
  readonly final: readonly FinalEngagement[];
}

/** What the user said lately, as words, and what they named and negated in it. */
export type UserWords = Omit<ProfileWords, "user_id">;
export const NO_WORDS: UserWords = Object.freeze({ words: {}, named: [], negations: [] });

/** What the graph knows of a user. */
interface UserGraph {
  /** The user's newest engagement; clicks and conversions come before impressions. */
  readonly own: readonly Engagement[];
  /** The most expressed first. */
  readonly intents: readonly IntentCount[];
}
export const NO_GRAPH_DATA: UserGraph = Object.freeze({ own: [], intents: [] });

/** What counts of a user in the control arm: the campaigns that no arm shows to them. */
export function withoutPersonal(
  { named, negations, final }: Pick<KnownUser, "named" | "negations" | "final">,
): KnownUser {
  return { ...NO_GRAPH_DATA, words: {}, named, negations, vector: null, final };
}

export function isKnown({ vector, words, own, intents }: KnownUser): boolean {
  return vector !== null || own.length + intents.length + Object.keys(words).length > 0;
}

/** Campaigns engaged with that count: few users have more, and their newest clicks and conversions matter most. */
export const MAX_OWN = 500;
/** Intents that count, the most expressed of them. */
export const MAX_INTENTS = 8;

export async function readUserGraph(
  { graph, user_id, signal }: {
    graph: Pick<GraphStore, "engagedBy" | "intentsOf">;
    user_id: string;
  } & Abortable,
): Promise<UserGraph> {
  const [own, intents] = await Promise.all([
    graph.engagedBy({ user_ids: [user_id], limit: MAX_OWN, signal }),
    graph.intentsOf({ user_id, limit: MAX_INTENTS, signal }),
  ]);
  return { own, intents };
}
