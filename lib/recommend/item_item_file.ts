import { createHash, z } from "../../deps.ts";
import { ParleyError } from "../core/errors.ts";
import type { ItemWeights } from "./item_item.ts";

/** Item–item weights with the campaigns that their indexes mean. */
export interface CampaignWeights extends ItemWeights {
  /** By index. */
  readonly campaign_ids: readonly string[];
}

/** The file of a data version that holds them. */
export const ITEM_WEIGHTS_FILE = "item_weights";

/** "PIW" and the number of the format, which grows when the layout changes. */
const MAGIC = 0x01574950;
/** Magic, the numbers of campaigns and of weights, and the bytes of the campaigns' ids; then SHA-256 over all but itself. */
const COUNTS_BYTES = 16;
const HEADER_BYTES = COUNTS_BYTES + 32;

const Ids = z.array(z.string());

/**
 * One file: the header; `starts`, `targets` and `weights` as little-endian numbers of four bytes; the ids as JSON. What it holds is
 * summed over users: nothing of any one of them.
 */
export function encodeItemWeights({ campaign_ids, starts, targets, weights }: CampaignWeights): Uint8Array {
  const ids = new TextEncoder().encode(JSON.stringify(campaign_ids));
  const arrays = [starts, targets, weights].map(bytesOf);
  const body = arrays.reduce((sum, { length }) => sum + length, 0) + ids.length;
  const bytes = new Uint8Array(HEADER_BYTES + body);
  const counts = Uint32Array.of(MAGIC, campaign_ids.length, targets.length, ids.length);
  bytes.set(bytesOf(counts));
  let at = HEADER_BYTES;
  for (const part of [...arrays, ids]) {
    bytes.set(part, at);
    at += part.length;
  }
  bytes.set(checksum(bytes), COUNTS_BYTES);
  return bytes;
}

/** The weights in a file. Throws `mismatch` if it is of another format, or not what was written. */
export function decodeItemWeights(file: Uint8Array): CampaignWeights {
  // Numbers of four bytes must begin at a multiple of four.
  const bytes = file.byteOffset % 4 === 0 ? file : file.slice();
  const { buffer, byteOffset } = bytes;
  if (bytes.length < HEADER_BYTES) throw damaged(`it has ${bytes.length} bytes, fewer than its header`);
  const [magic = 0, campaigns = 0, count = 0, idBytes = 0] = new Uint32Array(buffer, byteOffset, 4);
  if (magic !== MAGIC) throw damaged("it is of another format, or none");
  const expected = HEADER_BYTES + 4 * (campaigns + 1 + 2 * count) + idBytes;
  if (bytes.length !== expected) throw damaged(`it has ${bytes.length} of ${expected} bytes`);
  if (!equal(checksum(bytes), bytes.subarray(COUNTS_BYTES, HEADER_BYTES))) {
    throw damaged("it has other bytes than were written");
  }
  const starts = new Uint32Array(buffer, byteOffset + HEADER_BYTES, campaigns + 1);
  const targets = new Uint32Array(buffer, starts.byteOffset + starts.byteLength, count);
  const weights = new Float32Array(buffer, targets.byteOffset + targets.byteLength, count);
  const ids = bytes.subarray(bytes.length - idBytes);
  return { campaign_ids: Ids.parse(JSON.parse(new TextDecoder().decode(ids))), starts, targets, weights };
}

function damaged(what: string): ParleyError {
  return new ParleyError(
    "mismatch",
    `the file of item–item weights cannot be used: ${what}; the next run that publishes writes it again`,
  );
}

function bytesOf(numbers: Uint32Array | Float32Array): Uint8Array {
  return new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
}

function checksum(bytes: Uint8Array): Uint8Array {
  const counts = bytes.subarray(0, COUNTS_BYTES);
  const body = bytes.subarray(HEADER_BYTES);
  return createHash("sha256").update(counts).update(body).digest();
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}
