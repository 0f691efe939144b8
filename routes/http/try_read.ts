import { withTimeout } from "../../lib/core/abort.ts";
import { causeOf } from "../../lib/core/errors.ts";
import type { PageContext } from "./page.ts";

/** What a store said, or why it said nothing. */
export type ReadResult<T> = { readonly value: T; readonly error: null } | {
  readonly value: null;
  readonly error: string;
};

/** How long a part of a page may wait for its store, in milliseconds. */
const READ_TIMEOUT_MS = 3_000;

/** Asks for a part of a page. A store that is down takes its part from the page and not the page. */
export async function tryRead<T>(question: () => Promise<T>): Promise<ReadResult<T>> {
  try {
    return { value: await withTimeout(READ_TIMEOUT_MS, question), error: null };
  } catch (error) {
    return { value: null, error: causeOf(error) };
  }
}

const TTL_MS = 3_000;

interface CachedResult {
  readonly at: number;
  readonly of: string;
  readonly asked: Promise<ReadResult<unknown>>;
}
const answers = new WeakMap<PageContext, Map<string, CachedResult>>();

/**
 * Asks at most every `ms` (3 s), however many look: for what reads thousands of rows, so that pages that are loaded again and
 * again don't take the time of the answers that this process gives. `of` says what the answer comes of: once that is
 * another, it is asked anew at once.
 */
export function cachedRead<T>(
  site: PageContext,
  name: string,
  question: () => Promise<T>,
  { ms = TTL_MS, of = "" }: { ms?: number; of?: string } = {},
): Promise<ReadResult<T>> {
  const mine = answers.get(site) ?? new Map<string, CachedResult>();
  answers.set(site, mine);
  const now = site.clock.now();
  const last = mine.get(name);
  // A name stands for one question, and so for one type.
  if (last?.of === of && Math.abs(now - last.at) < ms) return last.asked as Promise<ReadResult<T>>;
  const asked = tryRead(question);
  mine.set(name, { at: now, of, asked });
  return asked;
}
