/** Longest row, in UTF-16 units of JSON text. */
export const MAX_ROW = 8_388_608;

/**
 * Ends a row that was longer than {@link MAX_ROW}: of such a row only its beginning is kept, and this after it. JSON
 * text holds no NUL, so no readable row looks like one that was cut.
 */
export const CUT = "\0";

const KEPT = 65_536;

/** A row whose end has not been seen yet. Its memory is bounded however long the row is. */
export class Pending {
  private text = "";
  private cut = false;

  get empty(): boolean {
    return this.text === "";
  }

  add(piece: string): void {
    if (this.cut) return;
    this.text += piece;
    if (this.text.length <= MAX_ROW) return;
    this.text = this.text.slice(0, KEPT);
    this.cut = true;
  }

  /** The row, or the beginning of one that was too long, ended by {@link CUT}. */
  take(): string {
    const row = this.cut ? this.text + CUT : this.text;
    this.text = "";
    this.cut = false;
    return row;
  }
}
