/** A list of numbers that takes four to eight bytes each. */
export class Column<Numbers extends Uint32Array<ArrayBuffer> | Float32Array<ArrayBuffer>> {
  length = 0;
  private numbers: Numbers;

  constructor(private readonly type: new (length: number) => Numbers) {
    this.numbers = new type(1_024);
  }

  push(number: number): void {
    if (this.length === this.numbers.length) {
      const larger = new this.type(2 * this.length);
      larger.set(this.numbers);
      this.numbers = larger;
    }
    this.numbers[this.length++] = number;
  }

  /** What was pushed, without a copy: it shares the list's buffer. */
  array(): Numbers {
    return this.numbers.subarray(0, this.length) as Numbers;
  }
}
