import { iso } from "../core/clock.ts";
import type { Campaign, Message } from "../core/types.ts";
import type { Negation } from "../stores/analytics/port.ts";
import { inOrder, threadsOf, type UserRows } from "./conversations.ts";
import type { CampaignNames } from "./mentions.ts";
import { readStances, type Subject } from "./negation.ts";
import type { SuppressedCampaign } from "./suppressed_campaigns.ts";

/** What a user's negations are read with. */
export interface NegationMeans {
  readonly names: CampaignNames;
  /** Milliseconds of silence after which a conversation is over. */
  readonly gap_ms: number;
}

/** Characters of the newest messages of either side that are read. Assistants talk more, and are read only for what users refer to. */
const MAX_CHARACTERS = Object.freeze({ user: 8_000, assistant: 32_000 });
/** The newest negations that count. */
const MAX_NEGATIONS = 100;
/** The last day that ISO 8601 writes with four digits for the year. */
const MAX_TIME = Date.UTC(9999, 11, 31);
/** The share of its score that a campaign loses after the conversation in which the user did not want it. */
const LOST_SHARE = 0.5;

/**
 * What the user does not want or did not like, by their newest messages, the oldest first. Of all that they said about a campaign,
 * category or tag the last counts, and of what has one time the negation. A category or tag is left out if its conversation was over
 * before the user's newest message. Depends on the rows alone, not on their order or the clock.
 *
 * @param before What earlier rows negate that are not among these.
 */
export function negationsOf(
  rows: Omit<UserRows, "events">,
  { names, gap_ms }: NegationMeans,
  before: readonly Negation[] = [],
): Negation[] {
  const newest = newestOf(inOrder(rows.messages.filter(({ user_id }) => user_id === rows.user_id)));
  const byMessage = new Map(
    threadsOf({ ...rows, messages: newest, events: [] }, { gap_ms }).flatMap(({ messages }) => {
      const until = iso(Math.min(MAX_TIME, Date.parse(messages.at(-1)!.timestamp) + gap_ms));
      const conversation = { until, last: [] as readonly Subject[] };
      return messages.map((message) => [message, conversation] as const);
    }),
  );
  const negations = new Map(before.map((negation) => [keyOf(negation), negation]));
  const negatedAt = new Map<string, string>();
  for (const message of newest) {
    const conversation = byMessage.get(message)!;
    const { stances, last } = readStances(message.message, { names, last: conversation.last });
    conversation.last = last;
    if (message.role !== "user") continue;
    for (const { subject, polarity } of stances) {
      const key = keyOf(subject);
      const { timestamp } = message;
      if (polarity === "positive" && negatedAt.get(key) === timestamp) continue;
      negations.delete(key);
      if (polarity === "positive") continue;
      negations.set(key, { ...subject, until: conversation.until });
      negatedAt.set(key, timestamp);
    }
  }
  const now = newest.at(-1)?.timestamp ?? "";
  return [...negations.values()].filter(({ of, until }) => of === "campaign" || until >= now).slice(
    -MAX_NEGATIONS,
  );
}

/** The newest of these messages, {@link MAX_CHARACTERS} of each side; of the oldest of them the beginning. */
function newestOf(messages: readonly Message[]): Message[] {
  const newest: Message[] = [];
  const left: Record<keyof typeof MAX_CHARACTERS, number> = { ...MAX_CHARACTERS };
  for (const row of messages.toReversed()) {
    const side = row.role === "user" ? "user" : "assistant";
    if (left.user <= 0) break;
    if (left[side] <= 0) continue;
    newest.push({ ...row, message: row.message.slice(0, left[side]) });
    left[side] -= row.message.length;
  }
  return newest.toReversed();
}

/** What the user does not want in a conversation that is not over at `now` (epoch milliseconds). */
export class Vetoes {
  /** All of them, the oldest first. */
  readonly current: readonly Negation[];
  /** The campaigns among them, not those of categories and tags. */
  readonly campaigns: readonly SuppressedCampaign[];
  private readonly keys: ReadonlySet<string>;

  constructor(negations: readonly Negation[], now: number) {
    this.current = negations.filter(({ until }) => Date.parse(until) > now);
    this.campaigns = this.current.filter(({ of }) => of === "campaign")
      .map(({ name, until }) => ({ campaign_id: name, by: "negation", until }));
    this.keys = new Set(this.current.map(keyOf));
  }

  /** Whether a campaign may be shown as far as the user has not said that they do not want it. */
  allow({ campaign_id, category, tags }: Pick<Campaign, "campaign_id" | "category" | "tags">): boolean {
    const { keys } = this;
    return keys.size === 0 ||
      !keys.has(keyOf({ of: "campaign", name: campaign_id })) &&
        !(category !== null && keys.has(keyOf({ of: "category", name: category }))) &&
        !tags.some((name) => keys.has(keyOf({ of: "tag", name })));
  }
}

function keyOf({ of, name }: Subject): string {
  return `${of} ${name}`;
}

/** The campaigns among negations. */
export function negatedCampaigns(negations: readonly Negation[]): Set<string> {
  return new Set(negations.flatMap(({ of, name }) => of === "campaign" ? [name] : []));
}

/** The share of its score that a campaign loses by its fatigue and by a negation. */
export function fatigueOfNegated(fatigue: number): number {
  return 1 - (1 - fatigue) * (1 - LOST_SHARE);
}
