import { plainText } from "../core/text.ts";
import type { Campaign } from "../core/types.ts";

/** A category or tag of campaigns. */
export interface Topic {
  readonly of: "category" | "tag";
  /** As the catalogue writes it. */
  readonly name: string;
}

/** Topics that a part of a text names: from the character `start` to the one before `end`. */
interface LocatedTopics {
  readonly start: number;
  readonly end: number;
  readonly topics: readonly Topic[];
}

/** Shorter names are left out: too many other words are like them. */
const MIN_CHARACTERS = 3;
/** A topic of more than this share of all campaigns, such as the category "film" of a cinema, distinguishes none of them. */
const MAX_SHARE = 0.5;

interface TopicCount extends Topic {
  campaigns: number;
}

/** Finds categories and tags that a text names: without regard to case and accents, in singular or plural. Of names that overlap the longest counts. */
export class TopicNames {
  private readonly byTopic = new Map<string, TopicCount>();
  private readonly byWords = new Map<string, TopicCount[]>();
  private maxWords = 0;
  private campaigns = 0;

  /** Campaigns can be added as they are read. One that is added again counts again. */
  add({ category, tags }: Pick<Campaign, "category" | "tags">): void {
    this.campaigns++;
    if (category !== null) this.count({ of: "category", name: category });
    for (const name of new Set(tags)) this.count({ of: "tag", name });
  }

  private count({ of, name }: Topic): void {
    const key = `${of} ${name}`;
    const known = this.byTopic.get(key);
    if (known !== undefined) {
      known.campaigns++;
      return;
    }
    const topic = { of, name, campaigns: 1 };
    this.byTopic.set(key, topic);
    const words = topicWords(plainText(name)).map(({ text }) => text);
    if (words.join("").length < MIN_CHARACTERS) return;
    this.maxWords = Math.max(this.maxWords, words.length);
    for (const last of numbersOf(words.at(-1)!)) {
      const form = [...words.slice(0, -1), last].join(" ");
      const topics = this.byWords.get(form);
      if (topics === undefined) this.byWords.set(form, [topic]);
      else topics.push(topic);
    }
  }

  /** Where a text, as `plainText()` makes it, names topics, in the order of the text. */
  locate(plain: string): LocatedTopics[] {
    const words = topicWords(plain);
    const located: LocatedTopics[] = [];
    for (let at = 0; at < words.length;) {
      const found = this.longest(words, at);
      if (found !== null) located.push(found.located);
      at += found?.words ?? 1;
    }
    return located;
  }

  private longest(words: readonly TopicWord[], at: number) {
    for (let count = Math.min(this.maxWords, words.length - at); count > 0; count--) {
      const span = words.slice(at, at + count);
      const found = this.byWords.get(span.map(({ text }) => text).join(" ")) ?? [];
      const topics = found.filter(({ campaigns }) => campaigns <= MAX_SHARE * this.campaigns)
        .map(({ of, name }) => ({ of, name }));
      if (topics.length > 0) {
        return { words: count, located: { start: span[0]!.start, end: span.at(-1)!.end, topics } };
      }
    }
    return null;
  }
}

interface TopicWord {
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

function topicWords(plain: string): TopicWord[] {
  return Array.from(
    plain.matchAll(/[\p{L}\p{N}]+/gu),
    ({ 0: word, index: start }) => ({ text: word.toLowerCase(), start, end: start + word.length }),
  );
}

/** A word in singular and plural, as English makes them. */
function numbersOf(word: string): Set<string> {
  const forms = new Set([word, `${word}s`]);
  if (/(?:s|x|z|ch|sh)$/.test(word)) forms.add(`${word}es`);
  if (/[^aeiou]y$/.test(word)) forms.add(word.replace(/y$/, "ies"));
  if (/ies$/.test(word)) forms.add(word.replace(/ies$/, "y"));
  if (/(?:s|x|z|ch|sh)es$/.test(word)) forms.add(word.replace(/es$/, ""));
  if (/[^su]s$/.test(word) && word.length > MIN_CHARACTERS) forms.add(word.replace(/s$/, ""));
  return forms;
}
