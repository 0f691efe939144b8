import { timeout, TimeoutStrategy } from "../../deps.ts";
import { causeOf } from "../../lib/core/errors.ts";

/** What a store said, or why it said nothing. */
export type Asked<T> = { readonly value: T; readonly error: null } | {
  readonly value: null;
  readonly error: string;
};

/** How long a part of a page may wait for its store, in milliseconds. */
const PATIENCE_MS = 3_000;
const patience = timeout(PATIENCE_MS, { strategy: TimeoutStrategy.Aggressive, abortOnReturn: false });

/** Asks for a part of a page. A store that is down takes its part from the page and not the page. */
export async function ask<T>(question: () => Promise<T>): Promise<Asked<T>> {
  try {
    return { value: await patience.execute(question), error: null };
  } catch (error) {
    return { value: null, error: causeOf(error) };
  }
}
