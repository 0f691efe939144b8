import { ParleyError } from "../../../lib/core/errors.ts";
import { allows, type Campaign, type Message } from "../../../lib/core/types.ts";
import type { ComputedAnswer } from "../../../lib/recommend/recommend.ts";
import type { Explained } from "../../../lib/recommend/recommender.ts";
import type { Answer } from "../../../lib/recommend/answer.ts";
import type { SuppressedCampaign } from "../../../lib/recommend/suppressed_campaigns.ts";
import { parseId } from "../../../lib/schema/ids.ts";
import type { PageRequest } from "../../http/page.ts";
import { type ReadResult, tryRead } from "../../http/try_read.ts";

const DEFAULT_K = 10;

/** Messages that are read, which bounds the time that the page takes. */
export const MAX_READ = 2_000;
/** Messages that are shown, the newest of those. */
const MAX_MESSAGES = 10;
/** Suppressed campaigns with their titles; the others are counted. */
export const MAX_NAMED = 50;

/** What the form asks for. Ids are as the API takes them; `user_id` is "" if none is given. */
export interface ExplainQuery {
  readonly user_id: string;
  readonly k: number;
  /** What is wrong with it; null if nothing is. */
  readonly problem: string | null;
}

export function queryOf({ searchParams }: URL): ExplainQuery {
  const id = searchParams.get("user_id") ?? "";
  const k = Number(searchParams.get("k") || DEFAULT_K);
  try {
    const user_id = id.trim() === "" ? "" : parseId("the id", id);
    if (Number.isInteger(k) && k >= 1 && k <= 100) return { user_id, k, problem: null };
    return { user_id, k: DEFAULT_K, problem: "items are a whole number from 1 to 100" };
  } catch (error) {
    if (!(error instanceof ParleyError)) throw error;
    return { user_id: "", k: DEFAULT_K, problem: error.message };
  }
}

/** All that the page shows of an answer. */
export interface ExplainData {
  readonly explained: Explained;
  readonly suppressed: SuppressedCampaigns;
  /** Null for a session that may not see conversation text. */
  readonly messages: ReadResult<Messages> | null;
}

export interface SuppressedCampaigns {
  readonly rows: readonly SuppressedCampaign[];
  readonly campaigns: ReadResult<Campaign[]>;
  readonly vetoes: Answer["vetoes"];
}

export interface Messages {
  /** Newest first. */
  readonly newest: readonly Message[];
  /** Whether the user has more messages than were read. */
  readonly cut: boolean;
}

/** An answer and what led to it; an error if there is nothing to explain, such as before the first publish. */
export async function readExplained(
  request: PageRequest,
  { user_id, k }: ExplainQuery,
): Promise<ExplainData | ParleyError> {
  const { recommender, stores } = request.context;
  try {
    const [explained, messages] = await Promise.all([
      recommender.explain({ user_id, k }),
      readMessages(request, user_id),
    ]);
    return { explained, messages, suppressed: await readSuppressed(stores, explained) };
  } catch (error) {
    if (error instanceof ParleyError) return error;
    throw error;
  }
}

/** What an answer leaves out because of its user. */
export async function readSuppressed(
  { analytics }: PageRequest["context"]["stores"],
  { answer: { vetoes }, provenance }: ComputedAnswer,
): Promise<SuppressedCampaigns> {
  const rows = provenance?.suppressed ?? [];
  const campaign_ids = rows.slice(0, MAX_NAMED).map(({ campaign_id }) => campaign_id);
  return { rows, campaigns: await tryRead(() => analytics.campaigns({ campaign_ids })), vetoes };
}

/** What the user said. It is personal, so only a session with the scope `admin` gets it, and it is never logged. */
async function readMessages({ context, session }: PageRequest, user_id: string) {
  if (!allows(session.scopes, "admin")) return null;
  const { documents } = context.stores;
  return await tryRead(async () => {
    const messages = await documents.page({ after: null, limit: MAX_READ, user_ids: [user_id] });
    const newest = messages.toSorted((a, b) => a.timestamp < b.timestamp ? 1 : -1).slice(0, MAX_MESSAGES);
    return { newest, cut: messages.length === MAX_READ };
  });
}
