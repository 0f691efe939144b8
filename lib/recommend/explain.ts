import { round } from "../core/round.ts";
import { type Item, type Reason, type Source, SOURCES, type Sources } from "./answer.ts";
import { countPeople, type People } from "./candidates/similar_conversations.ts";
import { contribution, type Ranked } from "./score.ts";

const MAX_REASONS = 3;
/** A reason contributes at least this share of the largest contribution. */
const MIN_SHARE = 0.25;

/** The campaign of the user's own engagement that contributes most to another one. */
export type Cause = (Reason & { code: "co_engagement" })["facts"];

interface ExplainOptions {
  readonly weights: Sources;
  /** By campaign with co-engagement. */
  readonly causes: ReadonlyMap<string, Cause>;
}

/** The item of an answer, with one to three reasons, the largest contribution to the score first. */
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

/** Conversations similar in meaning and in words are mostly of the same people, so only the stronger of the two is shown. */
function isConversationSource(source: Source): boolean {
  return source === "similar_conversations" || source === "wording";
}

function reasonsFor(ranked: Ranked, options: ExplainOptions): Reason[] {
  const contributionOf = (source: Source) => contribution(source, ranked.sources, options.weights);
  const sources = SOURCES.filter((source) => contributionOf(source) > 0).sort((a, b) =>
    contributionOf(b) - contributionOf(a)
  );
  const minimum = sources[0] === undefined ? 0 : MIN_SHARE * contributionOf(sources[0]);
  const personCount = sources.find(isConversationSource);
  const shown = sources.filter((source) => contributionOf(source) >= minimum)
    .filter((source) => !isConversationSource(source) || source === personCount).slice(0, MAX_REASONS);
  const reasons = shown.flatMap((source) => REASONS[source](ranked, options) ?? []);
  if (ranked.explored) return [exploration(ranked), ...reasons].slice(0, MAX_REASONS);
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

function peopleText(options: People, verb = "asked for something like this"): string {
  if (options.converted > 0 && options.clicked > 0) {
    return `${
      personCount(options.converted)
    } ${verb} and chose it, and ${options.clicked} more looked at it.`;
  }
  if (options.converted > 0) return `${personCount(options.converted)} ${verb} and chose it.`;
  if (options.clicked > 0) return `${personCount(options.clicked)} ${verb} and looked at it.`;
  return `${personCount(options.shown)} ${verb} and came across it.`;
}

function personCount(count: number): string {
  return count === 1 ? "1 person" : `${count} people`;
}

function coEngagement({ campaign }: Ranked, { causes }: ExplainOptions): Reason | null {
  const facts = causes.get(campaign.campaign_id);
  if (facts === undefined) return null;
  const verb = { conversion: "chose", click: "looked at", mention: "named" }[facts.engagement];
  const text = facts.title === null
    ? `It goes with something that you ${verb}.`
    : `It goes with ${facts.title}, which you ${verb}.`;
  return { code: "co_engagement", facts, text };
}

function intent({ features }: Ranked): Reason | null {
  if (features.intent === undefined) return null;
  const matched = features.intent.matched.toSorted((a, b) => b.share - a.share);
  const intents = matched.map((match) => match.intent);
  const share = round(matched.reduce((sum, match) => sum + match.share, 0), 2);
  const names = joinNames(intents.slice(0, 3).map(readableLabel));
  return { code: "intent", facts: { intents, share }, text: `It answers what you asked about: ${names}.` };
}

/** An intent's label as words: `card_arrival` becomes `card arrival`. */
function readableLabel(label: string): string {
  return label.replaceAll(/[_\-.]+/g, " ").trim();
}

function joinNames(names: readonly string[]): string {
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

function exploration({ stats: { impressions, clicks } }: Ranked): Reason {
  const text = impressions === 0 ? "New campaign." : `Rarely shown so far: ${times(impressions)}.`;
  return { code: "exploration", facts: { impressions, clicks }, text };
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
