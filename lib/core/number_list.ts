/** A growing list of numbers in a typed array: four to eight bytes each. */
export class NumberList<NumberArray extends Uint32Array<ArrayBuffer> | Float32Array<ArrayBuffer>> {
  length = 0;
  private numbers: NumberArray;

  constructor(private readonly type: new (length: number) => NumberArray) {
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

  /** The numbers, without a copy: the array shares the list's buffer. */
  array(): NumberArray {
    return this.numbers.subarray(0, this.length) as NumberArray;
  }
}
