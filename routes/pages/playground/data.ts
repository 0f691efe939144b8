import { z } from "../../../deps.ts";
import { type Item, type Source, SOURCES, type Sources } from "../../../lib/recommend/answer.ts";
import type { ComputedAnswer } from "../../../lib/recommend/recommend.ts";
import { rowsOf } from "../../api/recommendations.ts";
import { readSuppressed, type SuppressedCampaigns } from "../explain/data.ts";
import { field, type PageRequest } from "../../http/page.ts";

const MAX_MESSAGES = 200;
export const MAX_CHARACTERS = 20_000;
export const MAX_ID_LENGTH = 256;
export const MAX_ITEMS = 50;
export const MAX_WEIGHT = 10;

/** A decimal number as browsers send it. */
const DECIMAL = /^\d+(\.\d*)?(e[+-]?\d+)?$|^\.\d+(e[+-]?\d+)?$/i;

const number = (name: string, low: number, high: number, type = z.number()) => {
  const rule = `${name} must be a number from ${low} to ${high}`;
  return z.string(rule).trim().regex(DECIMAL, rule).transform(Number).pipe(
    type.min(low, rule).max(high, rule),
  );
};

const ROLE = /^(user|assistant)\s*:\s*/i;

/**
 * The messages of a pasted conversation. A line that begins with `user:` or `assistant:` begins a message, which lines after it continue.
 * Without any such line, each line is a message of the user.
 */
export function messagesOf(
  text: string,
): { readonly role: "user" | "assistant"; readonly message: string }[] {
  const lines = text.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  const hasRoles = lines.some((line) => ROLE.test(line));
  const messages: { role: "user" | "assistant"; message: string }[] = [];
  for (const line of lines) {
    const role = ROLE.exec(line)?.[1]?.toLowerCase() as "user" | "assistant" | undefined;
    const last = messages.at(-1);
    if (hasRoles && role === undefined && last !== undefined) {
      last.message = `${last.message}\n${line}`.trim();
    } else messages.push({ role: role ?? "user", message: line.replace(ROLE, "") });
  }
  return messages.filter(({ message }) => message !== "");
}

const FORM = z.object({
  text: z.string().max(MAX_CHARACTERS, `the conversation has more than ${MAX_CHARACTERS} characters`)
    .transform(messagesOf)
    .refine(
      (messages) => messages.length <= MAX_MESSAGES,
      `the conversation has more than ${MAX_MESSAGES} messages`,
    ),
  user_id: z.string().trim().max(MAX_ID_LENGTH, "the user's id is too long"),
  k: number("items", 1, MAX_ITEMS, z.int("items must be a whole number")),
  diversity: number("diversity", 0, 1),
  weights: z.object(
    Object.fromEntries(
      SOURCES.map((source) => [source, number(`the weight of ${source}`, 0, MAX_WEIGHT)]),
    ) as Record<Source, ReturnType<typeof number>>,
  ).refine(
    ({ popularity }) => popularity > 0,
    "the weight of popularity must be above 0, since nothing else is known of some users",
  ),
});

/** What is tried: `text` as it was entered. */
export interface Trial {
  readonly text: string;
  readonly user_id: string;
  readonly k: string;
  readonly diversity: string;
  /** By source, as entered. */
  readonly weights: Readonly<Record<Source, string>>;
}

/** A campaign with its place in both answers, from 1; null in one that does not have it. */
export interface ComparedItem {
  readonly item: Item;
  readonly now: number | null;
  readonly tried: number | null;
}

export interface Comparison {
  readonly now: ComputedAnswer;
  readonly tried: ComputedAnswer;
  /** By place in the tried answer; then those that only the answer of now has, as it has them. */
  readonly items: readonly ComparedItem[];
  readonly suppressed: SuppressedCampaigns;
}

/** An empty form, with the weights that count now. */
export function emptyTrial(weights: Sources, diversity: number): Trial {
  const shown = Object.fromEntries(
    SOURCES.map((source) => [source, String(Number(weights[source].toFixed(4)))]),
  );
  return { text: "", user_id: "", k: "10", diversity: String(diversity), weights: shown as Trial["weights"] };
}

export function trialOf(request: PageRequest): Trial {
  const weights = Object.fromEntries(SOURCES.map((source) => [source, field(request, `weight-${source}`)]));
  const [text, user_id, k, diversity] = ["text", "user_id", "k", "diversity"].map((name) =>
    field(request, name)
  );
  return {
    text: text!,
    user_id: user_id!,
    k: k!,
    diversity: diversity!,
    weights: weights as Trial["weights"],
  };
}

/** The answer of now, in the user's arm, and that by the weights of the trial, or what is wrong with the trial. */
export async function compare(
  { context: { recommender, stores }, now }: PageRequest,
  trial: Trial,
): Promise<Comparison | { readonly problem: string }> {
  const { data, error } = FORM.safeParse(trial);
  if (data === undefined) return { problem: error.issues[0]!.message };
  const user_id = data.user_id === "" ? null : data.user_id;
  const { k, diversity, weights } = data;
  const rows = rowsOf(user_id, { messages: data.text, events: [] }, now);
  const request = { user_id, k, ...rows };
  const first = await recommender.tryOut(request);
  // What was not embedded in time may be now, so that both answers are made from the same.
  const isWhole = first.answer.degraded.length === 0;
  const answers = {
    now: isWhole ? first : await recommender.tryOut(request),
    tried: await recommender.tryOut({ ...request, diversity }, weights),
  };
  const items = comparedItems(answers.now.answer.items, answers.tried.answer.items);
  return { ...answers, items, suppressed: await readSuppressed(stores, answers.tried) };
}

function comparedItems(now: readonly Item[], tried: readonly Item[]): ComparedItem[] {
  const placeIn = (items: readonly Item[], id: string) => {
    const at = items.findIndex(({ campaign_id }) => campaign_id === id);
    return at < 0 ? null : at + 1;
  };
  return [
    ...tried.map((item, i) => ({ item, now: placeIn(now, item.campaign_id), tried: i + 1 })),
    ...now.flatMap((item, i) =>
      placeIn(tried, item.campaign_id) === null ? [{ item, now: i + 1, tried: null }] : []
    ),
  ];
}
