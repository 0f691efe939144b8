import { wordsOf } from "../../core/text.ts";
import type { Campaign } from "../../core/types.ts";
import type { Dialect, SqlValue } from "../engines/sql.ts";
import type { CampaignSearch } from "./port.ts";

/** The words that a campaign is found by, each once and after a space, so that a text after a space begins a word. */
export function searchedWords(row: Campaign): string {
  const { campaign_id, title, description, aliases = [], category, tags, intents } = row;
  const texts = [campaign_id, title, ...aliases, description ?? "", category ?? "", ...tags, ...intents];
  return [...new Set(texts.flatMap(wordsOf))].map((word) => ` ${word}`).join("");
}

/** Whether a row has these words: those that an earlier version of Parley wrote have not been compared by {@link searchSql}. */
export function hasWords(row: Campaign, words: readonly string[] = []): boolean {
  if (words.length === 0) return true;
  const own = searchedWords(row);
  return words.every((word) => own.includes(` ${word}`));
}

/** Conditions on the table of campaigns, none if the search has none, for a statement with three other parameters. */
export function searchSql(
  { words = [], category, intent, status }: CampaignSearch,
  { contains }: Dialect,
): { conditions: string[]; values: SqlValue[] } {
  const conditions: string[] = [];
  const values: SqlValue[] = [];
  const parameter = (value: string) => `$${values.push(value) + 3}`;
  for (const word of words) {
    conditions.push(`(words IS NULL OR ${contains("words", parameter(` ${word}`))})`);
  }
  if (category !== undefined) conditions.push(`category = ${parameter(category)}`);
  // In a JSON array of texts, a quotation mark that is part of one has a backslash before it.
  if (intent !== undefined) conditions.push(contains("intents", parameter(JSON.stringify(intent))));
  if (status !== undefined) conditions.push(`status = ${parameter(status)}`);
  return { conditions, values };
}
