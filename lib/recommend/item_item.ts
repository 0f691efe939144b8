import { yieldToEventLoop } from "../core/abort.ts";
import type { Abortable } from "../core/types.ts";
import { solveInPlace } from "../ml/positive_definite.ts";

/**
 * Which items each user engaged with: those of user u are `items[offsets[u]]` up to, not including, `items[offsets[u + 1]]`,
 * each once.
 */
export interface Interactions {
  readonly offsets: Uint32Array;
  readonly items: Uint32Array;
  /** How many items there are; indexes are below it. */
  readonly count: number;
}

/**
 * Signed item–item weights: the effect of engagement with item i on other items. Those of item i are `targets[offsets[i]]` up to,
 * not including, `targets[offsets[i + 1]]`, in ascending order, with `weights` at the same indexes.
 */
export interface ItemWeights {
  readonly offsets: Uint32Array;
  readonly targets: Uint32Array;
  readonly weights: Float32Array;
}

/** L2 penalty: the more, the more engagement an item needs to count. */
const LAMBDA = 100;
/** Items that each item is regressed on. */
const MAX_NEIGHBOURS = 128;
/** The most items, those that most users engaged with: counts of all pairs take 512 MB. */
const MAX_ITEMS = 16_000;
const ITEMS_PER_YIELD = 8;

/**
 * Learns item–item weights: the ridge regression of each item on the {@link MAX_NEIGHBOURS} others that most often go with it, over
 * all users. That is EASE (Steck, WWW 2019) with each column solved among its neighbours instead of among all items: it ranks at
 * least as well, takes a block of memory and time that grow with the number of items, and gives few weights to keep.
 */
export async function learnItemWeights(x: Interactions, { signal }: Abortable = {}): Promise<ItemWeights> {
  const counts = new CoCounts(x);
  const entries: WeightEntry[] = [];
  for (let j = 0; j < counts.size; j++) {
    const neighbours = counts.nearest(j, MAX_NEIGHBOURS);
    const weights = regress(counts, j, neighbours);
    neighbours.forEach((i, at) =>
      entries.push({ source: counts.itemOf(i), target: counts.itemOf(j), weight: weights[at]! })
    );
    if (j % ITEMS_PER_YIELD === 0) await yieldToEventLoop({ signal });
  }
  return toItemWeights(entries, x.count);
}

function regress(counts: CoCounts, j: number, neighbours: readonly number[]): Float64Array {
  const n = neighbours.length;
  const a = new Float64Array(n * n);
  const b = Float64Array.from(neighbours, (i) => counts.at(i, j));
  for (let r = 0; r < n; r++) {
    for (let c = 0; c < r; c++) a[r * n + c] = counts.at(neighbours[r]!, neighbours[c]!);
    a[r * n + r] = counts.at(neighbours[r]!, neighbours[r]!) + LAMBDA;
  }
  solveInPlace(a, n, b);
  return b;
}

/** How many users engaged with both of two items. Items are identified by rank: the one that most users engaged with is 0. */
class CoCounts {
  readonly size: number;
  private readonly ranked: Uint32Array;
  /** The lower triangle, row by row. */
  private readonly counts: Float32Array;

  constructor(x: Interactions) {
    const users = new Uint32Array(x.count);
    for (const i of x.items) users[i]!++;
    const engaged = Uint32Array.from(users.keys()).filter((i) => users[i]! > 0);
    this.ranked = engaged.sort((a, b) => users[b]! - users[a]! || a - b).subarray(0, MAX_ITEMS);
    this.size = this.ranked.length;
    this.counts = new Float32Array(this.size * (this.size + 1) / 2);
    const rank = new Int32Array(x.count).fill(-1);
    this.ranked.forEach((item, at) => rank[item] = at);
    for (let u = 0; u + 1 < x.offsets.length; u++) {
      const ranks = Array.from(x.items.subarray(x.offsets[u]!, x.offsets[u + 1]!), (i) => rank[i]!)
        .filter((at) => at >= 0);
      for (const r of ranks) for (const c of ranks) if (c <= r) this.counts[r * (r + 1) / 2 + c]!++;
    }
  }

  at(i: number, j: number): number {
    return i >= j ? this.counts[i * (i + 1) / 2 + j]! : this.counts[j * (j + 1) / 2 + i]!;
  }

  /** The items with the highest cosine to item j among those that any user engaged with together with it. */
  nearest(j: number, limit: number): number[] {
    const cosines = new Map<number, number>();
    for (let i = 0; i < this.size; i++) {
      const together = this.at(i, j);
      if (i !== j && together > 0) cosines.set(i, together / Math.sqrt(this.at(i, i)));
    }
    return [...cosines.keys()].sort((a, b) => cosines.get(b)! - cosines.get(a)! || a - b).slice(0, limit);
  }

  itemOf(rank: number): number {
    return this.ranked[rank]!;
  }
}

interface WeightEntry {
  readonly source: number;
  readonly target: number;
  readonly weight: number;
}

function toItemWeights(entries: WeightEntry[], count: number): ItemWeights {
  entries.sort((a, b) => a.source - b.source || a.target - b.target);
  const offsets = new Uint32Array(count + 1);
  for (const { source } of entries) offsets[source + 1]!++;
  for (let i = 0; i < count; i++) offsets[i + 1]! += offsets[i]!;
  return {
    offsets,
    targets: Uint32Array.from(entries, ({ target }) => target),
    weights: Float32Array.from(entries, ({ weight }) => weight),
  };
}
