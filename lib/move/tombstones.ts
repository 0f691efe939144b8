import { batches, paged } from "../core/batches.ts";
import type { TombstoneStore } from "../stores/tombstones/port.ts";
import type { Part } from "./part.ts";

/** Hashes that are read and written at once. */
const PAGE = 1_000;

/** The tombstones of a store, so that the target refuses rows of erased users too. */
export function tombstonePart(
  { open, ...name }: Pick<Part, "role" | "name"> & {
    readonly open: () => Promise<{ readonly from: TombstoneStore; readonly to: TombstoneStore }>;
  },
): Part {
  return {
    ...name,
    async *copy({ after, signal }) {
      const { from, to } = await open();
      const read = (after: string | null, limit: number) => from.page({ after, limit, signal });
      for await (const hashes of batches(paged(PAGE, (hash) => hash, read, after), PAGE)) {
        await to.add({ hashes, signal });
        yield { rows: hashes.length, after: hashes.at(-1)! };
      }
    },
  };
}
