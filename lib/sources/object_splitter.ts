import { onOneLine } from "./item_splitter.ts";
import { MAX_ROW_CHARACTERS, RowBuffer } from "./row_buffer.ts";
import { Malformed, type Splitter } from "./splitter.ts";
import { WrapperSplitter } from "./wrapper_splitter.ts";

const OPEN_BRACE = "{";
/** What may be between two objects: a comma is not JSON, but leaves no doubt. */
const BETWEEN = /[^\s,]/g;
/** All that means something inside an object; a string is recognised by its quotes. */
const STRUCTURE = /["\\{}[\]]/g;

/**
 * One row an object, of objects that follow each other in whatever layout, as `jq .` prints them. A single object without the
 * id of a user or a campaign is no row but what is around one list of rows; so is one that is longer than a row.
 */
export class ObjectSplitter implements Splitter {
  readonly line = 0;
  private readonly pending = new RowBuffer();
  /** The first object while it may be the only one. */
  private first: string | null = "";
  private wrapper: WrapperSplitter | null = null;
  private depth = 0;
  private inString = false;
  private escaped = false;

  *push(piece: string): Generator<string> {
    if (this.wrapper !== null) return yield* this.wrapper.push(piece);
    for (let at = 0; at < piece.length;) {
      if (this.depth === 0) {
        at = nextObjectStart(piece, at);
        if (at === piece.length) return;
        if (this.first !== null && this.first !== "") yield* this.release();
      }
      const end = this.endOf(piece, at);
      this.add(piece.slice(at, end));
      at = end;
      if (this.depth === 0 && this.first === null) yield onOneLine(this.pending.take());
    }
    if (this.depth > 0 && this.first !== null && this.first.length > MAX_ROW_CHARACTERS) {
      yield* this.enterWrapper(this.first);
    }
  }

  *end(): Generator<string> {
    if (this.wrapper !== null) return yield* this.wrapper.end();
    if (this.depth > 0) throw new Malformed("ends inside a JSON object as if it was cut off");
    if (this.first === null || this.first === "") return;
    const wrapper = new WrapperSplitter();
    const rows = [...wrapper.push(this.first)];
    if (wrapper.isRow) return yield* this.release();
    yield* rows;
    yield* wrapper.end();
  }

  /** What to do with a first object that is too long for a row: it is around a list, or a row that is marked. */
  private *enterWrapper(first: string): Generator<string> {
    const wrapper = new WrapperSplitter();
    const rows = [...wrapper.push(first)];
    this.first = null;
    if (wrapper.hasList) {
      this.wrapper = wrapper;
      yield* rows;
    } else this.pending.add(first);
  }

  private *release(): Generator<string> {
    this.pending.add(this.first!);
    this.first = null;
    yield onOneLine(this.pending.take());
  }

  private add(text: string): void {
    if (this.first === null) this.pending.add(text);
    else this.first += text;
  }

  /** Where the object that is open ends within this piece; its length if it does not. */
  private endOf(piece: string, start: number): number {
    let at = start;
    if (this.escaped) {
      this.escaped = false;
      at++;
    }
    for (STRUCTURE.lastIndex = at; at < piece.length;) {
      const mark = STRUCTURE.exec(piece);
      if (mark === null) break;
      at = mark.index + 1;
      if (this.inString) {
        if (mark[0] === '"') this.inString = false;
        else if (mark[0] === "\\") {
          this.escaped = at === piece.length;
          STRUCTURE.lastIndex = ++at;
        }
      } else if (mark[0] === '"') this.inString = true;
      else if (mark[0] === OPEN_BRACE || mark[0] === "[") this.depth++;
      else if (mark[0] !== "\\" && --this.depth === 0) return at;
    }
    return piece.length;
  }
}

/** Where the next object begins; the length of the piece if it has no further object. */
function nextObjectStart(piece: string, start: number): number {
  BETWEEN.lastIndex = start;
  const match = BETWEEN.exec(piece);
  if (match === null) return piece.length;
  if (match[0] !== OPEN_BRACE) throw new Malformed("holds something else between its JSON objects");
  return match.index;
}
