import { RowBuffer } from "./row_buffer.ts";
import { Malformed, type Splitter } from "./splitter.ts";

/** Tabs for line feeds: as white space they are the same, and inside a string as wrong as before. */
export function onOneLine(json: string): string {
  return json.includes("\n") ? json.replaceAll("\n", "\t").trim() : json.trim();
}

const LINE_FEED = 0x0a, QUOTE = 0x22, BACKSLASH = 0x5c, COMMA = 0x2c;
const OPEN_BRACKET = 0x5b, CLOSE_BRACKET = 0x5d, OPEN_BRACE = 0x7b, CLOSE_BRACE = 0x7d;

/**
 * One row an item of a JSON array: the text between two commas outside strings and nested brackets, whether or not it
 * is good JSON, so that a bad item costs one row and not the source. Nothing is parsed and re-printed, which keeps
 * long numbers exact and is several times as fast as a tokenising parser.
 */
export class ItemSplitter implements Splitter {
  private readonly pending = new RowBuffer();
  private depth = 0;
  private inString = false;
  private escaped = false;
  private closed = false;
  private currentLine = 1;
  private itemLine = 0;

  get line(): number {
    return this.itemLine;
  }

  get isClosed(): boolean {
    return this.closed;
  }

  *push(piece: string): Generator<string> {
    const rest = this.closed ? piece : yield* this.take(piece);
    if (rest.trim() !== "") throw new Malformed("continues after the end of its JSON array");
  }

  /** The items that end within this piece; returns what follows the array. */
  *take(piece: string): Generator<string, string> {
    let start = 0;
    for (let at = 0; at < piece.length && !this.closed; at++) {
      const unit = piece.charCodeAt(at);
      if (unit === LINE_FEED) this.currentLine++;
      const mark = this.read(unit);
      if (mark === null) continue;
      this.pending.add(piece.slice(start, at));
      const item = this.takeItem();
      start = at + 1;
      this.closed = mark === "closes";
      if (mark === "opens" || (mark === "closes" && item === "")) continue;
      this.itemLine = this.currentLine;
      yield item;
    }
    if (this.closed) return piece.slice(start);
    this.pending.add(piece.slice(start));
    return "";
  }

  end(): string[] {
    if (this.closed) return [];
    throw new Malformed("ends inside its JSON array as if it was cut off");
  }

  private takeItem(): string {
    return onOneLine(this.pending.take());
  }

  /** What a UTF-16 unit means for the outermost array. */
  private read(unit: number): "opens" | "separates" | "closes" | null {
    if (this.inString) {
      this.readInString(unit);
      return null;
    }
    if (unit === QUOTE) this.inString = true;
    else if (unit === COMMA) return this.depth === 1 ? "separates" : null;
    else if (unit === OPEN_BRACKET || unit === OPEN_BRACE) return ++this.depth === 1 ? "opens" : null;
    else if (unit === CLOSE_BRACKET) return --this.depth === 0 ? "closes" : null;
    // One that closes nothing belongs to a bad item, which has lost a bracket or has one too many.
    else if (unit === CLOSE_BRACE && this.depth > 1) this.depth--;
    return null;
  }

  private readInString(unit: number): void {
    if (this.escaped) this.escaped = false;
    else if (unit === BACKSLASH) this.escaped = true;
    else if (unit === QUOTE) this.inString = false;
  }
}
