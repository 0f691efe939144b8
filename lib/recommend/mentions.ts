import { plainText, UNSPACED } from "../core/text.ts";
import type { Campaign } from "../core/types.ts";
import { TopicNames } from "./topic_names.ts";

/** Shorter names are words that people say without meaning the campaign. Spaces count, and in Chinese each character is one. */
const MIN_CHARACTERS = 5;
/** A name of more campaigns is a name of their kind. */
const MAX_NAMESAKES = 20;
/** Words with at least so many letters may have one wrong, missing, added or swapped letter. */
const MIN_TYPO_CHARACTERS = 5;
/** A name of a single word may have such a typo if it has at least so many letters. */
const MIN_SINGLE_TYPO_CHARACTERS = 8;
/** Words whose correction is cached: some megabytes. */
const MAX_CORRECTIONS = 50_000;

const ARTICLES = new Set(["the", "a", "an"]);

/** Names that begin with the same words. */
interface TrieNode {
  readonly next: Map<string, TrieNode>;
  readonly campaign_ids: string[];
}

type NamedCampaign =
  & Pick<Campaign, "campaign_id" | "title" | "aliases">
  & Partial<Pick<Campaign, "category" | "tags">>;

/** Campaigns that a part of a text names: from the character `start` to the one before `end`. */
interface LocatedName {
  readonly start: number;
  readonly end: number;
  readonly campaign_ids: readonly string[];
}

interface Match {
  readonly campaign_ids: readonly string[];
  readonly words: number;
}

/**
 * Finds campaigns that a text names by title or alias: without regard to case, accents and punctuation, with or without what is in
 * brackets at the end of a title, as a year is, and with a letter wrong in longer words. Of names that overlap the longest counts; a name of several campaigns names all of them, a name of more than {@link MAX_NAMESAKES} none. Linear in the text; memory grows with the
 * words of all names.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { CampaignNames } from "./mentions.ts";
 *
 * const names = new CampaignNames([{ campaign_id: "c1", title: "The Trail Map", aliases: [] }]);
 * assert.deepEqual([...names.find("Do you still have the trail map?")], ["c1"]);
 * ```
 */
export class CampaignNames {
  /** The categories and tags of the campaigns. */
  readonly topics = new TopicNames();
  private readonly root: TrieNode = emptyNode();
  private readonly vocabulary = new Vocabulary();

  constructor(campaigns: Iterable<NamedCampaign>) {
    for (const campaign of campaigns) this.add(campaign);
  }

  /** Campaigns can be added as they are read. */
  add({ campaign_id, title, aliases, category = null, tags = [] }: NamedCampaign): void {
    this.topics.add({ category, tags });
    for (const name of new Set([title, ...aliases].flatMap(formsOf))) {
      const words = plainWords(plainText(name)).map(({ text }) => text);
      if (words.join(" ").length < MIN_CHARACTERS) continue;
      let node = this.root;
      for (const word of words) {
        this.vocabulary.add(word);
        let next = node.next.get(word);
        if (next === undefined) node.next.set(word, next = emptyNode());
        node = next;
      }
      const { campaign_ids } = node;
      if (campaign_ids.length <= MAX_NAMESAKES && campaign_ids.at(-1) !== campaign_id) {
        campaign_ids.push(campaign_id);
      }
    }
  }

  /** Ids in the order in which the text names them. */
  find(text: string): Set<string> {
    return new Set(this.locate(plainText(text)).flatMap(({ campaign_ids }) => campaign_ids));
  }

  /** Where a text, as {@link plainText} makes it, names campaigns, in the order of the text. */
  locate(plain: string): LocatedName[] {
    const words = plainWords(plain).map((word) => ({ ...word, ...this.vocabulary.correct(word.text) }));
    const hasCapitals = words.some(({ isCapital }) => isCapital);
    const located: LocatedName[] = [];
    for (let at = 0; at < words.length;) {
      const match = this.longestMatch(words, at, hasCapitals);
      if (match !== null && match.campaign_ids.length > 0) {
        const end = words[at + match.words - 1]!.end;
        located.push({ start: words[at]!.start, end, campaign_ids: match.campaign_ids });
      }
      at += match?.words ?? 1;
    }
    return located;
  }

  private longestMatch(words: readonly Word[], start: number, hasCapitals: boolean): Match | null {
    let node: TrieNode | undefined = this.root;
    let match: Match | null = null;
    for (let at = start; at < words.length; at++) {
      node = node.next.get(words[at]!.text);
      if (node === undefined) break;
      const span = words.slice(start, at + 1);
      const { campaign_ids } = node;
      if (campaign_ids.length > 0 && isName(span, hasCapitals)) {
        match = { campaign_ids: campaign_ids.length > MAX_NAMESAKES ? [] : campaign_ids, words: span.length };
      }
    }
    return match;
  }
}

/** Whether words that are a name are meant as one: people say "help" and "remember" without meaning a film, but not "Help". */
function isName(span: readonly Word[], hasCapitals: boolean): boolean {
  const content = span.filter(({ text }) => !ARTICLES.has(text));
  if (content.length > 1) return true;
  const [word] = content.length === 1 ? content : span;
  if (word!.isCorrected && word!.text.length < MIN_SINGLE_TYPO_CHARACTERS) return false;
  return word!.isCapital || !hasCapitals;
}

function emptyNode(): TrieNode {
  return { next: new Map(), campaign_ids: [] };
}

/** A title as people may write it: "Matrix, The (1999)" is "The Matrix" too. */
function formsOf(title: string): string[] {
  const shortTitle = title.replace(/\s*\([^()]*\)\s*$/, "");
  const reordered = shortTitle.replace(/^(.*), (the|an?)$/i, "$2 $1");
  return [title, shortTitle, reordered];
}

/** A word, or one letter of a script that is written without spaces. */
const WORD = new RegExp(String.raw`${UNSPACED}|[[\p{L}\p{N}]--${UNSPACED}]+`, "gv");

function plainWords(plain: string): Omit<Word, "isCorrected">[] {
  return Array.from(plain.matchAll(WORD), ({ 0: word, index: start }) => {
    const text = word.toLowerCase();
    return { text, isCapital: !word.startsWith(text[0]!), start, end: start + word.length };
  });
}

/** A word of a text as names spell it. */
interface Word {
  readonly text: string;
  readonly isCapital: boolean;
  readonly isCorrected: boolean;
  /** Where it is in the text: from the character `start` to the one before `end`. */
  readonly start: number;
  readonly end: number;
}

type Correction = Pick<Word, "text" | "isCorrected">;

/** Finds words of names in spite of a wrong letter. */
class Vocabulary {
  private readonly words = new Set<string>();
  /** By what a word is without one of its letters. */
  private readonly shortened = new Map<string, string[]>();
  /** Cache of lookups: people repeat words. */
  private readonly corrections = new Map<string, Correction>();

  add(word: string): void {
    if (this.words.has(word)) return;
    this.words.add(word);
    this.corrections.clear();
    if (!canHaveTypo(word)) return;
    for (const shortTitle of shortenedForms(word)) {
      const words = this.shortened.get(shortTitle);
      if (words === undefined) this.shortened.set(shortTitle, [word]);
      else words.push(word);
    }
  }

  /** The word itself if names have it, or if it is similar to none or several of their words. */
  correct(text: string): Correction {
    if (this.words.has(text) || !canHaveTypo(text)) return { text, isCorrected: false };
    let correction = this.corrections.get(text);
    if (correction === undefined) {
      if (this.corrections.size === MAX_CORRECTIONS) this.corrections.clear();
      this.corrections.set(text, correction = this.lookUp(text));
    }
    return correction;
  }

  private lookUp(text: string): Correction {
    const forms = [text, ...shortenedForms(text)];
    const candidates = new Set(forms.flatMap((form) => this.shortened.get(form) ?? []));
    for (const form of forms) if (this.words.has(form) && canHaveTypo(form)) candidates.add(form);
    const words = [...candidates].filter((word) => isOneEditApart(word, text));
    return words.length === 1 ? { text: words[0]!, isCorrected: true } : { text, isCorrected: false };
  }
}

function canHaveTypo(word: string): boolean {
  return word.length >= MIN_TYPO_CHARACTERS && !/\p{N}/u.test(word);
}

function shortenedForms(word: string): string[] {
  return Array.from(word, (_, at) => word.slice(0, at) + word.slice(at + 1));
}

/** Whether two words differ by one letter added, missing or replaced, or by two neighbours swapped. */
function isOneEditApart(a: string, b: string): boolean {
  if (a.length < b.length) return isOneEditApart(b, a);
  let at = 0;
  while (at < b.length && a[at] === b[at]) at++;
  if (a.length > b.length) return a.slice(at + 1) === b.slice(at);
  const isOther = a.slice(at + 1) === b.slice(at + 1);
  const isExchanged = a[at] === b[at + 1] && a[at + 1] === b[at] && a.slice(at + 2) === b.slice(at + 2);
  return isOther || isExchanged;
}
