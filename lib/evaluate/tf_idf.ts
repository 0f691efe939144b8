import { countWords } from "../core/text.ts";

/**
 * Texts by their words, weighed by tf-idf: (1 + ln tf) × (ln((1 + n) / (1 + df)) + 1), scaled to length 1. `add` all texts, then ask
 * for cosines.
 */
export class TfIdf {
  private readonly postings = new Map<string, { text: number; weight: number }[]>();
  private lengths: Float64Array | null = null;
  private count = 0;

  add(text: string): void {
    for (const [word, n] of Object.entries(countWords(text))) {
      const list = this.postings.get(word) ?? [];
      list.push({ text: this.count, weight: 1 + Math.log(n) });
      this.postings.set(word, list);
    }
    this.count++;
    this.lengths = null;
  }

  /** The cosine of each text to the query, in the order in which the texts were added. */
  cosines(query: string): Float64Array {
    const scores = new Float64Array(this.count);
    let length = 0;
    for (const [word, n] of Object.entries(countWords(query))) {
      const list = this.postings.get(word);
      if (list === undefined) continue;
      const idf = this.idf(list.length);
      const weight = (1 + Math.log(n)) * idf;
      length += weight ** 2;
      for (const posting of list) scores[posting.text]! += weight * posting.weight * idf;
    }
    const lengths = this.lengths ??= this.textLengths();
    return scores.map((score, text) => score === 0 ? 0 : score / Math.sqrt(length) / lengths[text]!);
  }

  private idf(df: number): number {
    return Math.log((1 + this.count) / (1 + df)) + 1;
  }

  private textLengths(): Float64Array {
    const squares = new Float64Array(this.count);
    for (const list of this.postings.values()) {
      const idf = this.idf(list.length);
      for (const { text, weight } of list) squares[text]! += (weight * idf) ** 2;
    }
    return squares.map(Math.sqrt);
  }
}
