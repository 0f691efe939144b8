import { Buffer } from "../../deps.ts";

/** The most items that the pages of one answer have together: 4 bytes each, an id of some 3 KB. */
export const MAX_SHOWN = 500;
const BYTES = 4;

/**
 * The campaigns that were shown, as a hash of 32 bits for each, in the order shown. Another campaign is taken for one of 500 of them
 * with a probability of 1 in 8 million, and is then left out of one answer.
 */
export class ShownCampaigns {
  private readonly hashes: ReadonlySet<number>;

  constructor(private readonly seed: number, hashes: Iterable<number> = []) {
    this.hashes = new Set(hashes);
  }

  get size(): number {
    return this.hashes.size;
  }

  has(campaign_id: string): boolean {
    return this.hashes.has(hashOf(campaign_id, this.seed));
  }

  /** The place of a campaign among them, from 1; null if it was not shown. */
  placeOf(campaign_id: string): number | null {
    const hash = hashOf(campaign_id, this.seed);
    return this.hashes.has(hash) ? 1 + [...this.hashes].indexOf(hash) : null;
  }

  /** These and more. */
  with(campaign_ids: readonly string[]): ShownCampaigns {
    const more = campaign_ids.map((campaign_id) => hashOf(campaign_id, this.seed));
    return new ShownCampaigns(this.seed, [...this.hashes, ...more]);
  }

  /** The hashes in base64url. */
  toText(): string {
    const bytes = Buffer.alloc(BYTES * this.hashes.size);
    [...this.hashes].forEach((hash, at) => bytes.writeUInt32BE(hash, BYTES * at));
    return bytes.toString("base64url");
  }

  static fromText(seed: number, text: string): ShownCampaigns {
    const bytes = Buffer.from(text, "base64url");
    const count = Math.floor(bytes.length / BYTES);
    return new ShownCampaigns(seed, Array.from({ length: count }, (_, at) => bytes.readUInt32BE(BYTES * at)));
  }
}

/** FNV-1a over UTF-16 units, mixed at its end as MurmurHash3 does: thousands of candidates are looked up for a page. */
function hashOf(text: string, seed: number): number {
  let hash = 0x811c9dc5 ^ seed;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ (text.charCodeAt(i) & 0xff), 0x01000193);
    hash = Math.imul(hash ^ (text.charCodeAt(i) >>> 8), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
