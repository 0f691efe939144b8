import type { Campaign } from "../core/types.ts";
import { wordsOf } from "./wording.ts";

/** Shorter titles are words that people say without meaning the campaign. */
const MIN_CHARACTERS = 5;

/** Finds the campaigns whose title a text holds, with or without what stands in brackets at its end, as a year does. */
export function titleFinder(campaigns: readonly Campaign[]): (text: string) => Set<string> {
  const titles = new Map<string, string[]>();
  let longest = 0;
  for (const { campaign_id, title } of campaigns) {
    for (const form of new Set([title, title.replace(/\s*\([^()]*\)\s*$/, "")])) {
      const words = wordsOf(form);
      const key = words.join(" ");
      if (key.length < MIN_CHARACTERS) continue;
      titles.set(key, [...titles.get(key) ?? [], campaign_id]);
      longest = Math.max(longest, words.length);
    }
  }
  return (text) => {
    const words = wordsOf(text);
    const found = new Set<string>();
    for (let from = 0; from < words.length; from++) {
      for (let to = from + 1; to <= Math.min(from + longest, words.length); to++) {
        for (const id of titles.get(words.slice(from, to).join(" ")) ?? []) found.add(id);
      }
    }
    return found;
  };
}
