import { plainText } from "../core/text.ts";
import { isEnglish } from "./english.ts";
import type { CampaignNames } from "./mentions.ts";
import {
  AVOID,
  CONTINUES,
  DENIED,
  EXCEPT,
  FAILS,
  HATE,
  IS_BAD,
  IS_NOT_GOOD,
  IS_TOO,
  LIKES,
  NO,
  NOT,
  NOT_A_FAN,
  NOT_WANTED,
  ONE_SELF,
  OTHERS,
  PREFERS_OTHER,
  PRONOUN,
  PROPOSAL,
  QUESTION,
  REPLY,
  REVERSED,
  SEEN,
  VERDICT,
  WITHOUT,
} from "./negation_patterns.ts";
import type { Topic } from "./topic_names.ts";

/** What a text can speak about: a campaign by its id, or a category or tag. */
export type Subject = Topic | { readonly of: "campaign"; readonly name: string };

/** What the user thinks of a subject: `negative` if they do not want it or did not like it. */
interface Stance {
  readonly subject: Subject;
  readonly polarity: "negative" | "positive";
}

/** The stances of a text in its order, and the campaigns that were named last. */
interface Reading {
  readonly stances: readonly Stance[];
  /** What "it" and "that one" mean next. */
  readonly last: readonly Subject[];
}

/** In a text that is read each name is one character of the private use area, from this one on. */
const FIRST_NAME = 0xe000;
const MAX_NAMES = 200;
/** Characters before and after a name that are read: they bound what a pattern can cost. */
const MAX_BEFORE = 200;
const MAX_AFTER = 100;

/**
 * What a user thinks of the campaigns, categories and tags that a text names, in its order, by rules for English; nothing if the text is in
 * another language. A negated pronoun means what the text, or `last`, named last. A name without a negation is positive, since a user
 * who names again what they did not want asks for it. What others are said to think is nothing.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { CampaignNames } from "./mentions.ts";
 * import { readStances } from "./negation.ts";
 *
 * const names = new CampaignNames([{ campaign_id: "c1", title: "The Trail Map", aliases: [] }]);
 * const { stances } = readStances("Anything but the trail map, please.", { names });
 * assert.deepEqual(stances, [{ subject: { of: "campaign", name: "c1" }, polarity: "negative" }]);
 * ```
 */
export function readStances(
  text: string,
  { names, last = [] }: { names: CampaignNames; last?: readonly Subject[] },
): Reading {
  const { masked, subjects } = maskNames(plainText(text.replaceAll(PRIVATE_USE, " ")), names);
  if (subjects.length === 0 && last.length === 0) return { stances: [], last };
  const isRead = isEnglish(masked.match(/[\p{L}\p{N}]+/gu) ?? []);
  const stances: Stance[] = [];
  const say = (polarity: Polarity, of: readonly Subject[]) => {
    if (polarity !== null) stances.push(...of.map((subject) => ({ subject, polarity })));
  };
  const sentences = sentencesOf(masked);
  for (const [at, { text, is_question }] of sentences.entries()) {
    const groups = [...text.matchAll(GROUP)];
    if (groups.length === 0 && !is_question && REPLY.test(text)) say("negative", last);
    let inherited: Polarity = null;
    for (const [nth, { 0: group, index }] of groups.entries()) {
      const [previous, next] = [groups[nth - 1], groups[nth + 1]];
      const is_pronoun = group === PRONOUN;
      inherited = polarityOf({
        lead: text.slice(0, index),
        start: previous === undefined ? 0 : previous.index + previous[0].length,
        // With the next name's character, so that no pattern takes it for the end.
        rest: text.slice(index + group.length, next && next.index + 1),
        reply: next === undefined ? sentences[at + 1]?.text ?? "" : "",
        is_question,
        is_pronoun,
        inherited,
      });
      const named = [...group].flatMap((one) => subjects[one.charCodeAt(0) - FIRST_NAME] ?? []);
      say(inherited, is_pronoun ? last : named);
      const campaigns = named.filter(({ of }) => of === "campaign");
      if (campaigns.length > 0) last = campaigns;
    }
  }
  return { stances: isRead ? stances : [], last };
}

type Polarity = Stance["polarity"] | null;

/** A text in lower case with one character for each name, and what these mean, in order. */
function maskNames(plain: string, names: CampaignNames): { masked: string; subjects: Subject[][] } {
  const campaigns = names.locate(plain).map(({ start, end, campaign_ids }) => ({
    start,
    end,
    subjects: campaign_ids.map((name): Subject => ({ of: "campaign", name })),
  }));
  const topics = names.topics.locate(plain)
    .filter(({ start, end }) => !campaigns.some((name) => name.start < end && start < name.end))
    .map(({ start, end, topics }) => ({ start, end, subjects: [...topics] as Subject[] }));
  const located = [...campaigns, ...topics].sort((a, b) => a.start - b.start).slice(0, MAX_NAMES);
  let [masked, at] = ["", 0];
  for (const [nth, { start, end }] of located.entries()) {
    masked += plain.slice(at, start).toLowerCase() + String.fromCharCode(FIRST_NAME + nth);
    at = end;
  }
  return {
    masked: masked + plain.slice(at).toLowerCase(),
    subjects: located.map(({ subjects }) => subjects),
  };
}

const PRIVATE_USE = /[\ue000-\uf8ff]/g;
const ONE_NAME = "[\\ue000-\\uf8fe]";
const LISTED = `(?:(?:the|a|an|any) )?${ONE_NAME}`;
/** The names of one list, or one name, or a pronoun. */
const GROUP = new RegExp(
  `${PRONOUN}|${ONE_NAME}(?:(?:, ${LISTED})*,? (?:and|or|nor|plus) ${LISTED})?`,
  "g",
);
/** What is in brackets after a name, as a year is. */
const IN_BRACKETS = new RegExp(`(${ONE_NAME}) ?\\([^()]*\\)`, "g");
const PRONOUNS = new RegExp(
  "(?<![\\p{L}\\p{N}])(?:it|(?:that|this) (?:one|movie|film)|(?:any|either) of (?:those|them|these)(?: ones| movies| films)?|" +
    "(?<=^\\s*)that(?= (?:is|was))|(?:that|this)(?=\\s*(?:$|[,|])))(?![\\p{L}\\p{N}])",
  "gu",
);
const CONTRACTION =
  /\b(do|does|did|wo|would|ca|could|should|must|is|are|was|were|have|has|had|ai)nt\b|\bcannot\b/g;
const WHOLE_VERB: Readonly<Record<string, string>> = { wo: "will", ca: "can", ai: "is" };

interface Sentence {
  readonly text: string;
  readonly is_question: boolean;
}

/** The sentences of a masked text, as the patterns need them. */
function sentencesOf(masked: string): Sentence[] {
  const unquoted = masked.replaceAll(
    /["“”«»]([^"“”«»]*)["“”«»]/g,
    (_, quote: string) => quote.split(/\s+/).length > 2 ? " a quote " : ` ${quote} `,
  );
  return Array.from(unquoted.matchAll(/([^.!?\n]+)([.!?\n]*)/g), ([, part, end]) => {
    const text = part!.replaceAll(IN_BRACKETS, "$1")
      .replaceAll(
        CONTRACTION,
        (_, verb?: string) => `${verb === undefined ? "can" : WHOLE_VERB[verb] ?? verb} not`,
      )
      .replaceAll(/\b(?:any|every)(?:thing|one|body|where|place|time)?(?: else)? but\b/g, "except")
      .replaceAll(
        /[;:()[\]\u2013\u2014]| - |\b(?:but|however|though|although|because|while|whereas|unless)\b/g,
        " | ",
      )
      .replaceAll(/\b(?:its|thats)\b/g, "it is")
      .replaceAll(PRONOUNS, PRONOUN)
      .replaceAll("/", " or ")
      .replaceAll(/[^\p{L}\p{N}\ue000-\uf8ff|,]+/gu, " ")
      .replaceAll(/ ?, ?/g, ", ").replaceAll(/ +/g, " ").trim();
    return { text, is_question: end!.includes("?") && QUESTION.test(text) };
  }).filter(({ text }) => text !== "");
}

interface NameInSentence {
  /** The sentence up to the name. */
  readonly lead: string;
  /** Where in it what is before the name begins: after the name before it. */
  readonly start: number;
  /** The sentence after the name, up to the next one. */
  readonly rest: string;
  /** The next sentence if no more names follow in this one. */
  readonly reply: string;
  readonly is_question: boolean;
  readonly is_pronoun: boolean;
  /** That of the name before it. */
  readonly inherited: Polarity;
}

function polarityOf(
  { lead, start, rest, reply, is_question, is_pronoun, inherited }: NameInSentence,
): Polarity {
  const bar = lead.lastIndexOf("|") + 1;
  const clause = lead.slice(bar).slice(-MAX_BEFORE).trimEnd();
  const before = lead.slice(Math.max(start, lead.lastIndexOf(",") + 1, bar)).slice(-MAX_BEFORE).trim();
  const after = rest.slice(0, MAX_AFTER).split("|")[0]!.trimEnd();
  if (DENIED.test(clause)) return null;
  const match = (pattern: RegExp, text: string): Polarity => {
    const found = pattern.exec(text);
    return found && (REVERSED.test(text.slice(0, found.index)) ? "positive" : "negative");
  };
  if (!is_pronoun) {
    if (SEEN.test(lead) && (NOT.test(before) || EXCEPT.test(before))) return null;
    const asked = match(EXCEPT, clause) ?? match(AVOID, before) ?? match(WITHOUT, before);
    if (asked !== null) return asked;
    if (NO.test(before)) return "negative";
  }
  const isOthers = OTHERS.test(clause) && !ONE_SELF.test(clause);
  if (!is_question && !isOthers) {
    const hated = match(HATE, before) ?? match(PREFERS_OTHER, clause);
    if (hated !== null) return hated;
    if (NOT_WANTED.test(before) || NOT_A_FAN.test(before)) return "negative";
    if ([IS_BAD, IS_NOT_GOOD, FAILS, VERDICT].some((pattern) => pattern.test(after))) return "negative";
    if (!is_pronoun && (NOT.test(before) || IS_TOO.test(after))) return "negative";
  }
  const isAlone = after === "" && before.split(" ").length <= 4 && (!is_question || PROPOSAL.test(lead));
  if (isAlone && VERDICT.test(reply)) return "negative";
  if (start > 0 && CONTINUES.test(before)) return inherited;
  if (is_pronoun) return LIKES.test(before) ? "positive" : null;
  return isOthers ? null : "positive";
}
