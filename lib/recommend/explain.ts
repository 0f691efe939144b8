import { type Item, type Reason, type Source, SOURCES, type Sources } from "./answer.ts";
import { countPeople, type People } from "./candidates/similar_conversations.ts";
import { contribution, type Ranked, round } from "./score.ts";

const MAX_REASONS = 3;
/** A reason adds at least this share of what the weightiest one adds. */
const MIN_SHARE = 0.25;

/** What the user engaged with that says most for a campaign. */
export type Cause = (Reason & { code: "co_engagement" })["facts"];

interface ExplainOptions {
  readonly weights: Sources;
  /** Of the campaigns that co-engagement speaks for. */
  readonly causes: ReadonlyMap<string, Cause>;
}

/** The item as it is answered, with one to three reasons, the one that adds most to the score first. */
export function explain(ranked: Ranked, options: ExplainOptions): Item {
  const { campaign_id, title, category } = ranked.campaign;
  const { sources } = ranked;
  return {
    campaign_id,
    title,
    category,
    score: round(ranked.score),
    sources,
    fatigue: round(ranked.features.fatigue),
    reasons: reasonsFor(ranked, options),
  };
}

/** Conversations alike in meaning and in words are mostly the same people's: the weightier of the two speaks for both. */
function isOfPeople(source: Source): boolean {
  return source === "similar_conversations" || source === "wording";
}

function reasonsFor(ranked: Ranked, options: ExplainOptions): Reason[] {
  const adds = (source: Source) => contribution(source, ranked.sources, options.weights);
  const sources = SOURCES.filter((source) => adds(source) > 0).sort((a, b) => adds(b) - adds(a));
  const least = sources[0] === undefined ? 0 : MIN_SHARE * adds(sources[0]);
  const people = sources.find(isOfPeople);
  const counted = sources.filter((source) => adds(source) >= least)
    .filter((source) => !isOfPeople(source) || source === people).slice(0, MAX_REASONS);
  const reasons = counted.flatMap((source) => REASONS[source](ranked, options) ?? []);
  return reasons.length === 0 ? [popular(ranked)] : reasons;
}

/** Null if there is nothing to say. */
const REASONS: Readonly<Record<Source, (ranked: Ranked, options: ExplainOptions) => Reason | null>> = {
  mention,
  similar_conversations: similarConversations,
  wording,
  co_engagement: coEngagement,
  intent,
  similarity,
  popularity: popular,
};

function similarConversations({ features }: Ranked): Reason | null {
  if (features.similar_conversations === undefined) return null;
  const facts = countPeople(features.similar_conversations);
  return { code: "similar_conversations", facts, text: peopleText(facts) };
}

function wording({ features }: Ranked): Reason | null {
  if (features.wording === undefined) return null;
  const facts = countPeople(features.wording);
  return { code: "wording", facts, text: peopleText(facts, "asked in words like yours") };
}

function mention({ features }: Ranked): Reason | null {
  return features.mention ? { code: "mention", facts: {}, text: "You named it." } : null;
}

function peopleText(options: People, did = "asked for something like this"): string {
  if (options.converted > 0 && options.clicked > 0) {
    return `${people(options.converted)} ${did} and chose it, and ${options.clicked} more looked at it.`;
  }
  if (options.converted > 0) return `${people(options.converted)} ${did} and chose it.`;
  if (options.clicked > 0) return `${people(options.clicked)} ${did} and looked at it.`;
  return `${people(options.shown)} ${did} and came across it.`;
}

function people(count: number): string {
  return count === 1 ? "1 person" : `${count} people`;
}

function coEngagement({ campaign }: Ranked, { causes }: ExplainOptions): Reason | null {
  const facts = causes.get(campaign.campaign_id);
  if (facts === undefined) return null;
  const did = { conversion: "chose", click: "looked at", mention: "named" }[facts.engagement];
  const text = facts.title === null
    ? `It goes with something that you ${did}.`
    : `It goes with ${facts.title}, which you ${did}.`;
  return { code: "co_engagement", facts, text };
}

function intent({ features }: Ranked): Reason | null {
  if (features.intent === undefined) return null;
  const matched = features.intent.matched.toSorted((a, b) => b.share - a.share);
  const intents = matched.map((one) => one.intent);
  const share = Math.round(100 * matched.reduce((sum, one) => sum + one.share, 0)) / 100;
  const names = listed(intents.slice(0, 3).map(readable));
  return { code: "intent", facts: { intents, share }, text: `It answers what you asked about: ${names}.` };
}

/** An intent's label as words: `card_arrival` becomes `card arrival`. */
function readable(label: string): string {
  return label.replaceAll(/[_\-.]+/g, " ").trim();
}

function listed(names: readonly string[]): string {
  const rest = names.slice(0, -1);
  return rest.length === 0 ? names.join("") : `${rest.join(", ")} and ${names.at(-1)}`;
}

function similarity({ features }: Ranked): Reason | null {
  if (features.similarity === undefined) return null;
  const { rank } = features.similarity;
  const text = rank === 1
    ? "It is the closest match to what you talk about."
    : `It is one of the ${rank} closest matches to what you talk about.`;
  return { code: "similarity", facts: { rank }, text };
}

function popular(ranked: Ranked): Reason {
  const { conversions, clicks, impressions } = ranked.stats;
  return {
    code: "popular",
    facts: { conversions, clicks, impressions },
    text: popularText({ conversions, clicks, impressions }),
  };
}

function popularText(options: { conversions: number; clicks: number; impressions: number }): string {
  const { conversions, clicks, impressions } = options;
  if (conversions > 0 && clicks > 0) {
    return `Popular: chosen ${times(conversions)} and clicked ${times(clicks)} by everyone together.`;
  }
  if (conversions > 0) return `Popular: chosen ${times(conversions)} by everyone together.`;
  if (clicks > 0) return `Popular: clicked ${times(clicks)} by everyone together.`;
  if (impressions > 0) return `Shown ${times(impressions)} to everyone together.`;
  return "New campaign.";
}

function times(count: number): string {
  return count === 1 ? "once" : count === 2 ? "twice" : `${count} times`;
}
