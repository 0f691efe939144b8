import type { Item, Reason, Source, Sources } from "./answer.ts";
import { SOURCES } from "./answer.ts";
import type { Evidence } from "./evidence.ts";
import type { Ranked } from "./rank.ts";

const MOST_REASONS = 3;

/** The item as it is answered, with one to three reasons, the one that adds most to the score first. */
export function explain(ranked: Ranked, weights: Sources): Item {
  const { campaign_id, title, category } = ranked.campaign;
  const { score, sources } = ranked;
  return { campaign_id, title, category, score, sources, reasons: reasonsFor(ranked, weights) };
}

function reasonsFor(ranked: Ranked, weights: Sources): Reason[] {
  const part = (source: Source) => weights[source] * ranked.sources[source];
  const speaking = SOURCES.filter((source) => part(source) > 0 && hasFacts(source, ranked.evidence));
  if (speaking.length === 0) return [popular(ranked)];
  return speaking.sort((a, b) => part(b) - part(a)).slice(0, MOST_REASONS)
    .map((source) => REASON[source](ranked));
}

/** Users who are only distantly alike add to a score, but nothing can be said of them. */
function hasFacts(source: Source, { converted, clicked, shown }: Evidence): boolean {
  return source !== "similar_users" || converted + clicked + shown > 0;
}

const REASON: Readonly<Record<Source, (ranked: Ranked) => Reason>> = {
  similar_users: similarUsers,
  intent,
  similarity,
  popularity: popular,
};

function similarUsers(ranked: Ranked): Reason {
  const { converted, clicked, shown } = ranked.evidence;
  return {
    code: "similar_users",
    facts: { converted, clicked, shown },
    text: similarUsersText({ converted, clicked, shown }),
  };
}

function similarUsersText(o: { converted: number; clicked: number; shown: number }): string {
  if (o.converted > 0 && o.clicked > 0) {
    return `${peopleLikeYou(o.converted)} chose it, and ${o.clicked} more looked at it.`;
  }
  if (o.converted > 0) return `${peopleLikeYou(o.converted)} chose it.`;
  if (o.clicked > 0) return `${peopleLikeYou(o.clicked)} looked at it.`;
  return `${peopleLikeYou(o.shown)} came across it.`;
}

function peopleLikeYou(count: number): string {
  return count === 1 ? "1 person who talks like you" : `${count} people who talk like you`;
}

function intent(ranked: Ranked): Reason {
  const matched = [...ranked.evidence.intents].sort((a, b) => b.share - a.share);
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

function similarity(ranked: Ranked): Reason {
  const rank = ranked.evidence.similarity_rank ?? 1;
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

function popularText(o: { conversions: number; clicks: number; impressions: number }): string {
  const { conversions, clicks, impressions } = o;
  if (conversions > 0 && clicks > 0) {
    return `Popular: chosen ${times(conversions)} and clicked ${times(clicks)} by everyone together.`;
  }
  if (conversions > 0) return `Popular: chosen ${times(conversions)} by everyone together.`;
  if (clicks > 0) return `Popular: clicked ${times(clicks)} by everyone together.`;
  if (impressions > 0) return `Shown ${times(impressions)} to everyone together.`;
  return "New: nobody has met it yet.";
}

function times(count: number): string {
  return count === 1 ? "once" : count === 2 ? "twice" : `${count} times`;
}
