import { RowBuffer } from "./row_buffer.ts";

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
export class NotJson extends Error {
  constructor() {
    super("is not JSON: expected a JSON array or one JSON object a line");
  }
}

/** How much text may come before the first JSON object. Of long lines, so many are tried all the same. */
const MAX_HEAD = 1_048_576;
const MIN_TRIED_LINES = 100;

/**
 * The splitter for a text, by its beginning; null while that does not show what it is. Text that begins with `[` may also be
 * lines the first of which is damaged, or no JSON. Then a line is an object though the line before has not announced a value.
 */
export function splitterFor(head: string, { isWhole }: { isWhole: boolean }): Splitter | null {
  const text = head.trimStart();
  if (text === "") return null;
  if (!text.startsWith("[")) return new LineSplitter();
  const lines = text.split("\n");
  if (!isWhole) lines.pop();
  const trimmed = lines.map((line) => line.trim()).filter((line) => line !== "");
  if (announcesValue(trimmed[0])) return new ItemSplitter();
  const isLines = trimmed.some((line, n) => n > 0 && isJsonObject(line) && !announcesValue(trimmed[n - 1]));
  if (isLines) return new LineSplitter();
  return isWhole || text.length > MAX_HEAD ? new ItemSplitter() : null;
}

/** Whether a line ends as one of an array does before a line that begins with a value. */
function announcesValue(line: string | undefined): boolean {
  return line !== undefined && /[[,:]$/.test(line);
}

/**
 * One row a line, untouched; a line feed after the last line is not needed. Throws {@link NotJson} if no line is a JSON object,
 * as soon as there are enough.
 */
export class LineSplitter implements Splitter {
  private readonly pending = new RowBuffer();
  private tried = 0;
  private triedUnits = 0;
  private isJson = false;
  private lines = 0;

  get line(): number {
    return this.lines;
  }

  push(piece: string): string[] {
    const lines = piece.split("\n");
    this.pending.add(lines[0]!);
    if (lines.length === 1) return [];
    lines[0] = this.pending.take();
    this.pending.add(lines.pop()!);
    this.examine(lines);
    return lines;
  }

  end(): string[] {
    const last = this.pending.empty ? [] : [this.pending.take()];
    this.examine(last);
    if (this.tried > 0 && !this.isJson) throw new NotJson();
    return last;
  }

  private examine(lines: readonly string[]): void {
    this.lines += lines.length;
    for (let n = 0; n < lines.length && !this.isJson; n++) {
      const line = lines[n]!.trim();
      if (line === "") continue;
      this.isJson = isJsonObject(line);
      this.tried++;
      this.triedUnits += line.length;
      const isEnough = this.tried >= MIN_TRIED_LINES && this.triedUnits > MAX_HEAD;
      if (isEnough && !this.isJson) throw new NotJson();
    }
  }
}

function isJsonObject(line: string): boolean {
  if (!line.startsWith("{")) return false;
  try {
    JSON.parse(line);
    return true;
  } catch {
    return false;
  }
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

  *push(piece: string): Generator<string> {
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
    this.keep(piece.slice(start));
  }

  end(): string[] {
    if (this.closed) return [];
    throw new Malformed("ends inside its JSON array as if it was cut off");
  }

  private keep(rest: string): void {
    if (!this.closed) this.pending.add(rest);
    else if (rest.trim() !== "") throw new Malformed("continues after the end of its JSON array");
  }

  /** Tabs for line feeds: as white space they are the same, and inside a string as wrong as before. */
  private takeItem(): string {
    const item = this.pending.take();
    return item.includes("\n") ? item.replaceAll("\n", "\t").trim() : item.trim();
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
