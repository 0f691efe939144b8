import type { IndexReader } from "./ann.ts";
import type { Groups } from "./groups.ts";

/** A row with its cosine similarity to a query. */
export interface NearRow {
  readonly rowid: number;
  readonly score: number;
}

/** The index of one version: distinct vectors, and which rows have them. */
export class VersionIndex {
  constructor(private readonly index: IndexReader, private readonly groups: Groups) {}

  get rows(): number {
    return this.groups.rows;
  }

  /**
   * The `n` nearest rows to a unit vector or more, best first; all if there are fewer. Of rows with the same vector,
   * the first `n` by id.
   */
  nearest(vector: Float32Array, n: number): NearRow[] {
    const entries = this.index.nearest(vector, Math.min(n, this.index.size)).sort((a, b) =>
      b.score - a.score
    );
    const rows: NearRow[] = [];
    for (const { key, score } of entries) {
      if (rows.length >= n && score < rows.at(-1)!.score) break;
      for (const rowid of this.groups.members(key, n)) rows.push({ rowid, score });
    }
    return rows;
  }
}
