import { batches } from "../../../lib/core/batches.ts";
import { sha256 } from "../../../lib/core/hash.ts";
import type { Abortable, Campaign, EngagementEvent } from "../../../lib/core/types.ts";
import type { Embedder } from "../../../lib/embed/port.ts";
import type { LearningQuery } from "../../../lib/learn/choose_ranker.ts";
import { type Moment, momentsOf } from "../../../lib/learn/user_moments.ts";
import { profileTextOf } from "../../../lib/recommend/conversations.ts";
import type { CampaignNames } from "../../../lib/recommend/mentions.ts";
import { userOfRows } from "../../../lib/recommend/user_of_rows.ts";
import { readUserRows } from "../../../lib/recommend/user_rows.ts";
import type { VectorStore } from "../../../lib/stores/vectors/port.ts";
import type { Services } from "../../services.ts";
import { HeldOutAnswers, type HeldOutOptions } from "./held_out_answers.ts";
import type { SampledUser } from "./sample_users.ts";

/** Users whose rows are read at a time. */
const USERS = 50;
const NO_INTENTS: ReadonlyMap<string, string> = new Map();

interface ReadOptions extends Pick<HeldOutOptions, "max_conversations">, Abortable {
  readonly services: Services;
  readonly store: VectorStore;
  readonly embedder: Embedder;
  readonly version: number;
  readonly names: CampaignNames;
  readonly campaigns: ReadonlyMap<string, Campaign>;
  /** How many texts may still be embedded. */
  readonly budget: { texts: number };
}

/** Sampled users with their moments, of whom nothing is learnt together. */
export interface SampledPart {
  readonly user_ids: ReadonlySet<string>;
  /** All of theirs. */
  readonly events: readonly EngagementEvent[];
  readonly moments: readonly SampledMoment[];
}

type SampledMoment = Moment & Pick<SampledUser, "is_held_out">;

/** The moments of the first of these users, as many users as it takes for `limit` moments. */
export async function readMoments(
  { documents, analytics, settings }: Pick<Services, "documents" | "analytics" | "settings">,
  users: readonly SampledUser[],
  { limit, signal }: { limit: number } & Abortable,
): Promise<SampledPart> {
  const gap_ms = settings.conversation_gap_minutes * 60_000;
  const heldOut = new Map(users.map(({ user_id, is_held_out }) => [user_id, is_held_out]));
  const [user_ids, events, moments] = [new Set<string>(), [] as EngagementEvent[], [] as SampledMoment[]];
  for await (const some of batches(heldOut.keys(), USERS)) {
    for (const rows of (await readUserRows({ documents, analytics, user_ids: some, signal })).users) {
      const is_held_out = heldOut.get(rows.user_id)!;
      user_ids.add(rows.user_id);
      events.push(...rows.events);
      moments.push(...momentsOf(rows, { gap_ms }).map((moment) => ({ ...moment, is_held_out })));
    }
    if (moments.length >= limit) break;
  }
  return { user_ids, events, moments };
}

/** The queries of a part: what is made of all users' rows is built once without those of its users. */
export async function readQueries(options: ReadOptions, part: SampledPart): Promise<LearningQuery[]> {
  const { user_ids, events } = part;
  const answers = await HeldOutAnswers.build({ ...options, user_ids, events });
  const queries: LearningQuery[] = [];
  for await (const moments of batches(part.moments, USERS)) {
    const vectors = await vectorsOf(options, moments);
    for (const moment of moments) {
      const text = profileTextOf(moment.before)?.start;
      // Without its vector a user would be another one.
      if (text !== undefined && !vectors.has(text)) continue;
      const user = await userOfRows(moment.before, {
        names: options.names,
        gap_ms: options.services.settings.conversation_gap_minutes * 60_000,
        embed: (text) => Promise.resolve(vectors.get(text)!),
        // Only given intents count: the classifier may have learnt from what these users said and were given later.
        classify: () => Promise.resolve(NO_INTENTS),
        repurchaseDays: (campaign_ids) => Promise.resolve(repurchaseDays(options.campaigns, campaign_ids)),
      });
      const { before: { user_id }, is_held_out, gains } = moment;
      queries.push({ user_id, is_held_out, gains, ...await answers.candidates(user, moment) });
    }
  }
  return queries;
}

/** By text, the vectors of what users had said at these moments: from the store, and as far as the budget lasts from the model. */
async function vectorsOf(
  { store, embedder, budget, signal }: ReadOptions,
  moments: readonly Moment[],
): Promise<Map<string, Float32Array>> {
  const texts = new Map(
    moments.flatMap(({ before }) => {
      const text = profileTextOf(before)?.start;
      return text === undefined ? [] : [[sha256(text), text] as const];
    }),
  );
  const found = new Map<string, Float32Array>();
  for (const collection of ["messages", "profiles"] as const) {
    const hashes = [...texts.keys()];
    for (const [hash, vector] of await store.byHash({ collection, hashes, signal })) {
      found.set(texts.get(hash)!, vector);
    }
  }
  const missing = [...texts.values()].filter((text) => !found.has(text)).slice(0, budget.texts);
  budget.texts -= missing.length;
  const made = await embedder.embed({ texts: missing, as: "query", signal });
  missing.forEach((text, i) => found.set(text, made[i]!));
  return found;
}

function repurchaseDays(
  campaigns: ReadonlyMap<string, Campaign>,
  campaign_ids: readonly string[],
): Map<string, number> {
  return new Map(campaign_ids.flatMap((id) => {
    const days = campaigns.get(id)?.repurchase_days ?? null;
    return days === null ? [] : [[id, days] as const];
  }));
}
