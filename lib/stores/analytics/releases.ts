import { ParleyError } from "../../core/errors.ts";
import type { Published } from "../../core/types.ts";

/** Bytes of a file in one row: a millisecond or two to write. */
export const PART_BYTES = 2 ** 20;

/** At least one part, so that an empty file is stored too. */
export function partsOf(bytes: Uint8Array): { part: number; bytes: Uint8Array }[] {
  return Array.from({ length: Math.max(1, Math.ceil(bytes.length / PART_BYTES)) }, (_, part) => ({
    part,
    bytes: bytes.subarray(part * PART_BYTES, (part + 1) * PART_BYTES),
  }));
}

/** Throws `conflict` for a version that is published or older than the published one. */
export function refusePublished(version: number, published: Published | null): void {
  if (published === null || version > published.version) return;
  throw new ParleyError(
    "conflict",
    `data version ${version} is not newer than ${published.version}, which run ${published.run_id} published`,
  );
}
