import { UNSPACED } from "../core/text.ts";
import type { Campaign } from "../core/types.ts";

/** Shorter names are words that people say without meaning the campaign. Spaces between words count, and in Chinese each letter is one. */
const MIN_CHARACTERS = 5;
/** What more campaigns are called is what a kind of them is called. */
const MAX_NAMESAKES = 20;
/** Words with so many letters may have one wrong, missing, added or exchanged with its neighbour. */
const MIN_TYPO_CHARACTERS = 5;
/** A name of one word only that has one letter wrong is taken for it from so many letters on. */
const MIN_SINGLE_TYPO_CHARACTERS = 8;
/** Words whose correction is remembered: some megabytes. */
const MAX_CORRECTIONS = 50_000;

const ARTICLES = new Set(["the", "a", "an"]);

/** Names that begin with the same words. */
interface Node {
  readonly next: Map<string, Node>;
  readonly campaign_ids: string[];
}

interface Match {
  readonly campaign_ids: readonly string[];
  readonly words: number;
}

/**
 * Finds campaigns that a text names by title or alias: without regard to case, accents and punctuation, with or without what is in
 * brackets at the end of a title, as a year is, and with a letter wrong in longer words. Of names that overlap the longest counts; a
 * name that several campaigns have stands for all of them, one that very many have for none. Linear in the text; memory grows with the
 * words of all names.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { CampaignNames } from "./mentions.ts";
 *
 * const names = new CampaignNames([{ campaign_id: "c1", title: "The Trail Map", aliases: [] }]);
 * assert.deepEqual([...names.in("Do you still have the trail map?")], ["c1"]);
 * ```
 */
export class CampaignNames {
  private readonly root: Node = emptyNode();
  private readonly vocabulary = new Vocabulary();

  constructor(campaigns: Iterable<Pick<Campaign, "campaign_id" | "title" | "aliases">>) {
    for (const campaign of campaigns) this.add(campaign);
  }

  /** Campaigns can be added as they are read. */
  add({ campaign_id, title, aliases }: Pick<Campaign, "campaign_id" | "title" | "aliases">): void {
    for (const name of new Set([title, ...aliases].flatMap(formsOf))) {
      const words = plainWords(name).map(({ text }) => text);
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
  in(text: string): Set<string> {
    const words = plainWords(text).map((word) => ({ ...word, ...this.vocabulary.correct(word.text) }));
    const hasCapitals = words.some(({ isCapital }) => isCapital);
    const found = new Set<string>();
    for (let at = 0; at < words.length;) {
      const match = this.longest(words, at, hasCapitals);
      for (const campaign_id of match?.campaign_ids ?? []) found.add(campaign_id);
      at += match?.words ?? 1;
    }
    return found;
  }

  private longest(words: readonly Word[], from: number, hasCapitals: boolean): Match | null {
    let node: Node | undefined = this.root;
    let match: Match | null = null;
    for (let at = from; at < words.length; at++) {
      node = node.next.get(words[at]!.text);
      if (node === undefined) break;
      const said = words.slice(from, at + 1);
      const { campaign_ids } = node;
      if (campaign_ids.length > 0 && isName(said, hasCapitals)) {
        match = { campaign_ids: campaign_ids.length > MAX_NAMESAKES ? [] : campaign_ids, words: said.length };
      }
    }
    return match;
  }
}

/** Whether words that are a name are meant as one: people say "help" and "remember" without meaning a film, but not "Help". */
function isName(said: readonly Word[], hasCapitals: boolean): boolean {
  const content = said.filter(({ text }) => !ARTICLES.has(text));
  if (content.length > 1) return true;
  const [word] = content.length === 1 ? content : said;
  if (word!.isCorrected && word!.text.length < MIN_SINGLE_TYPO_CHARACTERS) return false;
  return word!.isCapital || !hasCapitals;
}

function emptyNode(): Node {
  return { next: new Map(), campaign_ids: [] };
}

/** A title as people may write it: "Matrix, The (1999)" is "The Matrix" too. */
function formsOf(title: string): string[] {
  const short = title.replace(/\s*\([^()]*\)\s*$/, "");
  const turned = short.replace(/^(.*), (the|an?)$/i, "$2 $1");
  return [title, short, turned];
}

/** A word, or one letter of a script that is written without spaces. */
const WORD = new RegExp(String.raw`${UNSPACED}|[[\p{L}\p{N}]--${UNSPACED}]+`, "gv");

function plainWords(text: string): Pick<Word, "text" | "isCapital">[] {
  const plain = text.normalize("NFKD").replaceAll(/[\p{M}'’]/gu, "").replaceAll("&", " and ");
  return Array.from(plain.matchAll(WORD), ([word]) => {
    const text = word.toLowerCase();
    return { text, isCapital: !word.startsWith(text[0]!) };
  });
}

/** A word of a text as names spell it. */
interface Word {
  readonly text: string;
  readonly isCapital: boolean;
  readonly isCorrected: boolean;
}

type Correction = Pick<Word, "text" | "isCorrected">;

/** Words of names, found although a letter is wrong. */
class Vocabulary {
  private readonly words = new Set<string>();
  /** By what a word is without one of its letters. */
  private readonly shortened = new Map<string, string[]>();
  /** What was looked up: people repeat words. */
  private readonly corrections = new Map<string, Correction>();

  add(word: string): void {
    if (this.words.has(word)) return;
    this.words.add(word);
    this.corrections.clear();
    if (!canHaveTypo(word)) return;
    for (const short of shortenedForms(word)) {
      const words = this.shortened.get(short);
      if (words === undefined) this.shortened.set(short, [word]);
      else words.push(word);
    }
  }

  /** The word itself if names have it, or if it is like none or several of theirs. */
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
    const near = new Set(forms.flatMap((form) => this.shortened.get(form) ?? []));
    for (const form of forms) if (this.words.has(form) && canHaveTypo(form)) near.add(form);
    const words = [...near].filter((word) => isOneEditApart(word, text));
    return words.length === 1 ? { text: words[0]!, isCorrected: true } : { text, isCorrected: false };
  }
}

function canHaveTypo(word: string): boolean {
  return word.length >= MIN_TYPO_CHARACTERS && !/\p{N}/u.test(word);
}

function shortenedForms(word: string): string[] {
  return Array.from(word, (_, at) => word.slice(0, at) + word.slice(at + 1));
}

/** One letter added, missing or other, or two neighbours exchanged. */
function isOneEditApart(a: string, b: string): boolean {
  if (a.length < b.length) return isOneEditApart(b, a);
  let at = 0;
  while (at < b.length && a[at] === b[at]) at++;
  if (a.length > b.length) return a.slice(at + 1) === b.slice(at);
  const isOther = a.slice(at + 1) === b.slice(at + 1);
  const isExchanged = a[at] === b[at + 1] && a[at + 1] === b[at] && a.slice(at + 2) === b.slice(at + 2);
  return isOther || isExchanged;
}
