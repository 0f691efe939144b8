import { ItemSplitter } from "./item_splitter.ts";
import { ObjectSplitter } from "./object_splitter.ts";
import { RowBuffer } from "./row_buffer.ts";
import { NotJson, type Splitter } from "./splitter.ts";

/** How much text may come before the first JSON object. Of long lines, this many are tried anyway. */
const MAX_HEAD_CHARACTERS = 1_048_576;
const MIN_TRIED_LINES = 100;

/**
 * The splitter for a text, by its beginning; null while that does not show what it is. Text that begins with `[` or `{` may
 * also be lines the first of which is damaged, or no JSON. Then a line is an object though the line before has not announced a
 * value. A single line may be one object around a list.
 */
export function splitterFor(head: string, { isWhole }: { isWhole: boolean }): Splitter | null {
  const text = head.trimStart();
  if (text === "") return null;
  if (!/^[[{]/.test(text)) return new LineSplitter();
  const isArray = text.startsWith("[");
  const lines = text.split("\n");
  const last = isWhole ? "" : lines.pop()!.trim();
  const trimmed = lines.map((line) => line.trim()).filter((line) => line !== "");
  if (isArray && announcesValue(trimmed[0])) return new ItemSplitter();
  const isLine = (line: string, n: number) =>
    n === 0
      ? isJsonObject(line) && trimmed.length + last.length > 1
      : isJsonObject(line) && !announcesValue(trimmed[n - 1]);
  if (trimmed.some(isLine)) return new LineSplitter();
  if (!isWhole && text.length <= MAX_HEAD_CHARACTERS) return null;
  return isArray ? new ItemSplitter() : new ObjectSplitter();
}

/** Whether a line ends as one of an array does before a line that begins with a value. */
function announcesValue(line: string | undefined): boolean {
  return line !== undefined && /[[,:]$/.test(line);
}

/**
 * One row per line, unchanged; a line feed after the last line is not needed. Throws {@link NotJson} if no line is a JSON object,
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
      const isEnough = this.tried >= MIN_TRIED_LINES && this.triedUnits > MAX_HEAD_CHARACTERS;
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
