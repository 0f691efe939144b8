import { LRUCache } from "../../deps.ts";
import { withTimeout } from "../../lib/core/abort.ts";
import { causeOf } from "../../lib/core/errors.ts";
import type { Clock } from "../../lib/core/clock.ts";

/** What a store answered, or why it did not. */
export type ReadResult<T> = { readonly value: T; readonly error: null } | {
  readonly value: null;
  readonly error: string;
};

/** How long a part of a page may wait for its store. */
const READ_TIMEOUT_MS = 3_000;

/** Reads what a part of a page needs. If the store is down, that part is missing and the page is not. */
export async function tryRead<T>(read: () => Promise<T>): Promise<ReadResult<T>> {
  try {
    return { value: await withTimeout(READ_TIMEOUT_MS, read), error: null };
  } catch (error) {
    return { value: null, error: causeOf(error) };
  }
}

const TTL_MS = 3_000;
/** Room for each name, and for old versions of some. */
const MAX_CACHED = 20;

/** By the stores that answered. */
const caches = new WeakMap<object, LRUCache<string, Promise<ReadResult<unknown>>>>();

/**
 * Reads at most every `ttl` ms (3 s), for what reads thousands of rows: pages that are loaded again and again must not
 * take the time that this process needs for answers. A `version` that differs is read at once. A name stands for one type.
 */
export function cachedRead<T>(
  { clock, stores }: { readonly clock: Clock; readonly stores: object },
  name: string,
  read: () => Promise<T>,
  { ttl = TTL_MS, version = "" }: { ttl?: number; version?: string } = {},
): Promise<ReadResult<T>> {
  const cache = caches.get(stores) ??
    new LRUCache({ max: MAX_CACHED, ttl: TTL_MS, ttlResolution: 0, perf: clock });
  caches.set(stores, cache);
  const key = `${name} ${version}`;
  const result = cache.get(key) as Promise<ReadResult<T>> | undefined ?? tryRead(read);
  if (!cache.has(key)) cache.set(key, result, { ttl });
  return result;
}
