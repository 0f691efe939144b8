type Bytes = Uint8Array<ArrayBuffer>;

/** Turns bytes that come in chunks into text, without a byte order mark at its beginning. */
export interface Decoder {
  push(chunk: Bytes): string;
  /** The remaining text at the end of the bytes. */
  end(): string;
  /** Offset of the first byte that is not UTF-8; null before that. */
  readonly invalidAt: number | null;
}

/**
 * A decoder for bytes that begin so: UTF-16 with a byte order mark, or with two ASCII characters, as JSON and CSV do; else UTF-8.
 */
export function decoderFor(beginning: Bytes): Decoder {
  const [first, second] = beginning;
  if (first === 0xff && second === 0xfe) return new Utf16Decoder("utf-16le");
  if (first === 0xfe && second === 0xff) return new Utf16Decoder("utf-16be");
  const zeros = Array.from(beginning.subarray(0, 4), (byte) => byte === 0 ? "0" : "x").join("");
  if (zeros === "x0x0") return new Utf16Decoder("utf-16le");
  if (zeros === "0x0x") return new Utf16Decoder("utf-16be");
  return new Utf8Decoder();
}

/** A surrogate without its other half becomes U+FFFD, as it does where one is written as an escape. */
class Utf16Decoder implements Decoder {
  readonly invalidAt = null;
  private readonly decoder: TextDecoder;

  constructor(label: "utf-16le" | "utf-16be") {
    this.decoder = new TextDecoder(label);
  }

  push(chunk: Bytes): string {
    return this.decoder.decode(chunk, { stream: true });
  }

  end(): string {
    return this.decoder.decode();
  }
}

/** Stands for a byte that is not UTF-8: text that was decoded from UTF-8 holds no lone surrogate. */
const INVALID = "\udc80";

/** A byte that is not UTF-8 becomes a lone surrogate, so that the text around it can be read and a row that holds one told. */
export class Utf8Decoder implements Decoder {
  private readonly strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  /** Of a character that has not come whole yet. */
  private rest: Bytes = new Uint8Array(0);
  private decoded = 0;
  private invalid: number | null = null;

  get invalidAt(): number | null {
    return this.invalid;
  }

  push(chunk: Bytes): string {
    const bytes = this.rest.length === 0 ? chunk : concat(this.rest, chunk);
    const end = completeEnd(bytes);
    this.rest = bytes.slice(end);
    return this.decode(bytes.subarray(0, end));
  }

  end(): string {
    return this.decode(this.rest);
  }

  private decode(bytes: Bytes): string {
    const text = this.decodeStrict(bytes) ?? this.decodeAround(bytes);
    const isFirst = this.decoded === 0;
    this.decoded += bytes.length;
    return isFirst && text.startsWith("\ufeff") ? text.slice(1) : text;
  }

  private decodeStrict(bytes: Bytes): string | null {
    try {
      return this.strict.decode(bytes);
    } catch {
      // That it is not UTF-8 is all that this error says.
      return null;
    }
  }

  private decodeAround(bytes: Bytes): string {
    let text = "", start = 0;
    for (let at = 0; at < bytes.length;) {
      const length = characterLength(bytes, at);
      at += Math.max(1, length);
      if (length > 0) continue;
      this.invalid ??= this.decoded + at - 1;
      text += this.strict.decode(bytes.subarray(start, at - 1)) + INVALID;
      start = at;
    }
    return text + this.strict.decode(bytes.subarray(start));
  }
}

function concat(head: Bytes, tail: Bytes): Bytes {
  const both = new Uint8Array(head.length + tail.length);
  both.set(head);
  both.set(tail, head.length);
  return both;
}

/** Where the last character begins if its end is missing, else where the bytes end. */
function completeEnd(bytes: Bytes): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back]!;
    if (byte < 0x80) break;
    if (byte >= 0xc0) return lengthByLead(byte) > back ? bytes.length - back : bytes.length;
  }
  return bytes.length;
}

/** Bytes of the character that begins with this one; 0 if none does. See table 3-7 of the Unicode Standard. */
function lengthByLead(lead: number): number {
  if (lead < 0x80) return 1;
  if (lead < 0xc2 || lead > 0xf4) return 0;
  return lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

/** Bytes of the well-formed character at an offset; 0 if it is not well-formed. */
function characterLength(bytes: Bytes, at: number): number {
  const lead = bytes[at]!;
  const length = lengthByLead(lead);
  let low = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
  let high = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
  for (let n = 1; n < length; n++) {
    const byte = bytes[at + n];
    if (byte === undefined || byte < low || byte > high) return 0;
    [low, high] = [0x80, 0xbf];
  }
  return length;
}
