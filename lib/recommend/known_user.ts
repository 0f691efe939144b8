import type { Abortable } from "../core/types.ts";
import type { Engagement, ProfileWords } from "../stores/analytics/port.ts";
import type { IntentCount } from "../stores/documents/port.ts";
import type { GraphStore } from "../stores/graph/port.ts";

/** All that evidence starts from: what is known of the asking user. */
export interface KnownUser extends UserGraph, UserWords {
  /** The profile, by the published version's model; null if the user said nothing. */
  readonly vector: Float32Array | null;
}

/** What the user said lately, as words, and the campaigns that they named in it. */
type UserWords = Pick<ProfileWords, "words" | "named">;
export const SILENT: UserWords = Object.freeze({ words: {}, named: [] });

/** What the graph knows of a user. */
interface UserGraph {
  /** What the user engaged with: what they clicked or converted on before what they were only shown, the newest of it. */
  readonly own: readonly Engagement[];
  /** The most expressed first. */
  readonly intents: readonly IntentCount[];
}
export const UNKNOWN: UserGraph = Object.freeze({ own: [], intents: [] });

export function isKnown({ vector, words, own, intents }: KnownUser): boolean {
  return vector !== null || own.length + intents.length + Object.keys(words).length > 0;
}

/** How much of it is read: few users have more, and their newest clicks and conversions say most. */
const MAX = Object.freeze({ own: 500, intents: 8 });

export async function readUserGraph(
  { graph, user_id, signal }: {
    graph: Pick<GraphStore, "engagedBy" | "intentsOf">;
    user_id: string;
  } & Abortable,
): Promise<UserGraph> {
  const [own, intents] = await Promise.all([
    graph.engagedBy({ user_ids: [user_id], limit: MAX.own, signal }),
    graph.intentsOf({ user_id, limit: MAX.intents, signal }),
  ]);
  return { own, intents };
}
