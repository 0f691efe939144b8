import type { WriteCounts } from "./types.ts";

export const NO_WRITES: WriteCounts = Object.freeze({ inserted: 0, changed: 0, same: 0 });

export function addCounts(a: WriteCounts, b: WriteCounts): WriteCounts {
  return { inserted: a.inserted + b.inserted, changed: a.changed + b.changed, same: a.same + b.same };
}
