/** Cuts JSON text that comes in pieces into rows. Both methods throw {@link Malformed}. */
export interface Splitter {
  /** The rows that end within this piece. */
  push(piece: string): Iterable<string>;
  /** The remaining rows at the end of the text. */
  end(): Iterable<string>;
  /** The line on which the last of those rows ends; 0 before the first. */
  readonly line: number;
}

/** Says, as the rest of a sentence about the source, why it cannot be read on. */
export class Malformed extends Error {}

/** Says, as the rest of a sentence about the source, that it is something else altogether. */
export class NotRows extends Error {}

/** Begins as a line of a chat does that was exported as text, such as `01/05/2026, 10:00 - Ann: Hello`; no JSON begins so. */
const CHAT_LINE = /^[\s\u200e]*\[?\d{1,4}[./-]\d{1,2}[./-]\d{1,4},?\s+\d{1,2}[:.]\d\d/;

/** Throws {@link NotRows} for the text of a chat. */
export function refuseChat(head: string): void {
  if (!CHAT_LINE.test(head)) return;
  throw new NotRows(
    "is the text of a chat, as WhatsApp exports it: write each message as a JSON object with user_id, message and timestamp",
  );
}

export class NotJson extends NotRows {
  constructor() {
    super(
      "holds no rows of JSON or CSV: expected a JSON array, JSON objects, or a CSV header that names user_id or campaign_id",
    );
  }
}
