/**
 * Groups what a stream yields into arrays of at most `size`, so that stores are written in batches.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { batches } from "./batches.ts";
 *
 * assert.deepEqual(await Array.fromAsync(batches([1, 2, 3], 2)), [[1, 2], [3]]);
 * ```
 */
export async function* batches<T>(rows: AsyncIterable<T> | Iterable<T>, size: number): AsyncGenerator<T[]> {
  let batch: T[] = [];
  for await (const row of rows) {
    batch.push(row);
    if (batch.length === size) {
      yield batch;
      batch = [];
    }
  }
  if (batch.length > 0) yield batch;
}

/** Groups rows until a group has `max` by their sizes, of which each is at least 1. */
export function* groupRows<Row>(
  rows: readonly Row[],
  max: number,
  size: (row: Row) => number = () => 1,
): Generator<Row[]> {
  let group: Row[] = [];
  let total = 0;
  for (const row of rows) {
    group.push(row);
    total += Math.max(1, size(row));
    if (total < max) continue;
    yield group;
    [group, total] = [[], 0];
  }
  if (group.length > 0) yield group;
}

/** Walks a keyset-paged listing after `from`: calls `page` with the last row's key until a page comes back short. */
export async function* paged<T>(
  limit: number,
  key: (row: T) => string,
  page: (after: string | null, limit: number) => Promise<readonly T[]>,
  from: string | null = null,
): AsyncGenerator<T> {
  let after = from;
  while (true) {
    const rows = await page(after, limit);
    yield* rows;
    if (rows.length < limit) return;
    after = key(rows.at(-1)!);
  }
}
