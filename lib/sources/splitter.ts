/** Cuts JSON text that comes in pieces into rows. Both methods throw {@link Malformed}. */
export interface Splitter {
  /** The rows that end within this piece. */
  push(piece: string): Iterable<string>;
  /** What is left when the text has ended. */
  end(): Iterable<string>;
  /** The line on which the last of those rows ends; 0 before the first. */
  readonly line: number;
}

/** Says, as the rest of a sentence about the source, why it cannot be read on. */
export class Malformed extends Error {}

/** Says, as the rest of a sentence about the source, that it is something else altogether. */
export class NotRows extends Error {}

export class NotJson extends NotRows {
  constructor() {
    super(
      "is neither JSON nor CSV: expected a JSON array, JSON objects, or a CSV header that names user_id or campaign_id",
    );
  }
}
