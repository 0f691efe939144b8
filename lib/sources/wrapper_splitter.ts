import { KINDS } from "../core/types.ts";
import { ItemSplitter } from "./item_splitter.ts";
import { Malformed, NotRows, type Splitter } from "./splitter.ts";

/** The longest part of a key that a message quotes. */
const MAX_KEY_CHARACTERS = 60;
const NOT_SPACE = /\S/g;
/** What every row has one of. */
const ROW_IDS = ["user_id", "campaign_id"];

/**
 * One row an item of the one list of objects that a JSON object holds right below it, none if that is empty. {@link end} throws
 * {@link NotRows} if there were several.
 */
export class WrapperSplitter implements Splitter {
  readonly line = 0;
  private list: ItemSplitter | null = null;
  private depth = 0;
  private inString = false;
  private escaped = false;
  /** The last string at the object's own level, which is a key if a value follows. */
  private key = "";
  /** Whether a list has begun whose first item has not come yet. */
  private atList = false;
  /** Of the lists of objects. */
  private readonly keys: string[] = [];
  private hasEmptyList = false;
  private hasRowId = false;

  /** Whether the list has begun. */
  get hasList(): boolean {
    return this.keys.length > 0;
  }

  /** Whether the object that has ended is a row itself: it has a row's id, or no list that could be rows. */
  get isRow(): boolean {
    return this.hasRowId || (!this.hasList && !this.hasEmptyList);
  }

  *push(piece: string): Generator<string> {
    for (let rest = piece; rest !== "";) {
      if (this.list === null) {
        rest = this.skip(rest);
        continue;
      }
      rest = yield* this.list.take(rest);
      if (this.list.isClosed) this.list = null;
    }
  }

  end(): string[] {
    if (this.list !== null || this.depth > 0) {
      throw new Malformed("ends inside its JSON object as if it was cut off");
    }
    if (this.keys.length < 2) return [];
    const likely = this.keys.find((key) => (KINDS as readonly string[]).includes(key)) ?? this.keys[0];
    const names = this.keys.map((key) => `"${key}"`).join(", ");
    throw new NotRows(
      `holds one JSON object with several lists of objects, ${names}: give one of them alone, as in jq '.["${likely}"]'`,
    );
  }

  /** Skips text before a list of objects; returns the text from the beginning of the list. */
  private skip(piece: string): string {
    for (let at = 0; at < piece.length; at++) {
      const unit = piece[at]!;
      if (this.inString) this.readInString(unit);
      else if (this.atList) {
        NOT_SPACE.lastIndex = at;
        const next = NOT_SPACE.exec(piece);
        if (next === null) return "";
        this.atList = false;
        this.hasEmptyList ||= next[0] === "]";
        if (next[0] === "{" && this.isFirstList()) return this.enter(piece.slice(next.index));
        at = next.index - 1;
      } else this.read(unit);
    }
    return "";
  }

  private read(unit: string): void {
    if (this.depth === 0 && /[^\s{]/.test(unit)) {
      throw new Malformed("continues after the end of its JSON object");
    }
    if (unit === '"') {
      this.inString = true;
      if (this.depth === 1) this.key = "";
    } else if (unit === ":") this.hasRowId ||= this.depth === 1 && ROW_IDS.includes(this.key);
    else if (unit === "{" || unit === "[") {
      this.atList = ++this.depth === 2 && unit === "[";
    } else if (unit === "}" || unit === "]") this.depth--;
  }

  private readInString(unit: string): void {
    if (this.escaped) this.escaped = false;
    else if (unit === "\\") this.escaped = true;
    else if (unit === '"') {
      this.inString = false;
      return;
    }
    if (this.depth === 1 && this.key.length < MAX_KEY_CHARACTERS) this.key += unit;
  }

  private isFirstList(): boolean {
    this.keys.push(this.key);
    return this.keys.length === 1;
  }

  private enter(items: string): string {
    this.list = new ItemSplitter();
    this.depth = 1;
    return `[${items}`;
  }
}
