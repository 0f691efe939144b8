/** The best of what is added, best first; of equal ones, the lower item. */
export class TopK {
  readonly list: { item: number; score: number }[] = [];
  /** What scores less is not among the best. */
  private threshold = -Infinity;

  /** `limit` is 1 or more. */
  constructor(private readonly limit: number) {}

  add(item: number, score: number): void {
    if (score >= this.threshold) this.insert(item, score);
  }

  private insert(item: number, score: number): void {
    const { list, limit } = this;
    let [low, high] = [0, list.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = list[middle]!;
      const isBehind = score < other.score || score === other.score && item > other.item;
      if (isBehind) low = middle + 1;
      else high = middle;
    }
    if (low === limit) return;
    list.splice(low, 0, { item, score });
    if (list.length > limit) list.pop();
    if (list.length === limit) this.threshold = list[limit - 1]!.score;
  }
}
