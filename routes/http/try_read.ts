import { inTime } from "../../lib/core/abort.ts";
import { causeOf } from "../../lib/core/errors.ts";
import type { Site } from "./page.ts";

/** What a store said, or why it said nothing. */
export type Asked<T> = { readonly value: T; readonly error: null } | {
  readonly value: null;
  readonly error: string;
};

/** How long a part of a page may wait for its store, in milliseconds. */
const PATIENCE_MS = 3_000;

/** Asks for a part of a page. A store that is down takes its part from the page and not the page. */
export async function ask<T>(question: () => Promise<T>): Promise<Asked<T>> {
  try {
    return { value: await inTime(PATIENCE_MS, question), error: null };
  } catch (error) {
    return { value: null, error: causeOf(error) };
  }
}

const KEEP_MS = 3_000;

interface Kept {
  readonly at: number;
  readonly of: string;
  readonly asked: Promise<Asked<unknown>>;
}
const answers = new WeakMap<Site, Map<string, Kept>>();

/**
 * Asks at most every `ms` (3 s), however many look: for what reads thousands of rows, so that pages that are loaded again and
 * again don't take the time of the answers that this process gives. `of` says what the answer comes of: once that is
 * another, it is asked anew at once.
 */
export function keep<T>(
  site: Site,
  name: string,
  question: () => Promise<T>,
  { ms = KEEP_MS, of = "" }: { ms?: number; of?: string } = {},
): Promise<Asked<T>> {
  const mine = answers.get(site) ?? new Map<string, Kept>();
  answers.set(site, mine);
  const now = site.clock.now();
  const last = mine.get(name);
  // A name stands for one question, and so for one type.
  if (last?.of === of && Math.abs(now - last.at) < ms) return last.asked as Promise<Asked<T>>;
  const asked = ask(question);
  mine.set(name, { at: now, of, asked });
  return asked;
}
