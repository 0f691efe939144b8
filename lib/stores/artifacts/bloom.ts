const BITS = 2 ** 26;
const PROBES = 5;

/**
 * An approximate set of strings: it knows all its members, and takes fewer than 1 in 100 other strings for one up to some
 * 6 million members. 8 MiB. See Bloom (1970), with two hashes for all probes by Kirsch and Mitzenmacher (2006).
 */
export class Bloom {
  private readonly words = new Uint32Array(BITS / 32);

  /** Adds a string; false if it was certainly no member. */
  addedBefore(text: string): boolean {
    const [first, step] = twoHashes(text);
    let before = true;
    for (let probe = 0; probe < PROBES; probe++) {
      const bit = (first + Math.imul(probe, step)) & (BITS - 1);
      const word = bit >>> 5, mask = 1 << (bit & 31);
      if ((this.words[word]! & mask) !== 0) continue;
      before = false;
      this.words[word]! |= mask;
    }
    return before;
  }
}

/** Two hashes in the manner of FNV-1a; the second is odd, so that its steps reach every bit. */
function twoHashes(text: string): [number, number] {
  let a = 0x811c9dc5, b = 0x9e3779b9;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    a = Math.imul(a ^ unit, 0x01000193);
    b = Math.imul(b ^ unit, 0x85ebca6b);
    b ^= b >>> 13;
  }
  return [a ^ (a >>> 15), b | 1];
}
