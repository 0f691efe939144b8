import { markRow } from "./row_problem.ts";

/** Longest row, in UTF-16 units of JSON text. */
export const MAX_ROW_CHARACTERS = 8_388_608;

/** Units that are left of a row that is too long. */
const MAX_HEAD_CHARACTERS = 65_536;

/** A row whose end has not been read yet. Its memory is bounded however long the row is. */
export class RowBuffer {
  private text = "";
  private tooLong = false;

  get empty(): boolean {
    return this.text === "";
  }

  add(piece: string): void {
    if (this.tooLong) return;
    this.text += piece;
    if (this.text.length <= MAX_ROW_CHARACTERS) return;
    this.text = this.text.slice(0, MAX_HEAD_CHARACTERS).toWellFormed();
    this.tooLong = true;
  }

  /** The row, or the beginning of one that is too long, marked so. */
  take(): string {
    const row = this.tooLong ? markRow(this.text, "too_long") : this.text;
    this.text = "";
    this.tooLong = false;
    return row;
  }
}
