/** Names and values of a figure's labels. Values come from this program's own words, never from a request or a row. */
type Labels = Readonly<Record<string, string>>;

/** One figure under some labels. */
export interface MetricPoint {
  readonly labels: Labels;
  readonly value: number | Histogram;
}

/** All points of one name. Seconds and bytes, as Prometheus has it. */
export interface MetricFamily {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly points: readonly MetricPoint[];
}

/** Counts observations by upper bounds, in ascending order; what is above the last one is counted beyond it. */
export class Histogram {
  readonly counts: Float64Array;
  sum = 0;

  constructor(readonly bounds: readonly number[]) {
    this.counts = new Float64Array(bounds.length + 1);
  }

  get count(): number {
    return this.counts.reduce((sum, count) => sum + count, 0);
  }

  observe(value: number): void {
    let at = 0;
    while (at < this.bounds.length && value > this.bounds[at]!) at++;
    this.counts[at]!++;
    this.sum += value;
  }
}

/** Values by labels, each made when first asked for: what is asked for often is bound once and then costs an addition. */
class Labelled<Value> {
  private readonly byKey = new Map<string, { readonly labels: Labels; readonly value: Value }>();

  constructor(private readonly make: () => Value) {}

  of(labels: Labels): Value {
    const key = Object.values(labels).join("\0");
    let entry = this.byKey.get(key);
    if (entry === undefined) this.byKey.set(key, entry = { labels, value: this.make() });
    return entry.value;
  }

  points(read: (value: Value) => number | Histogram): MetricPoint[] {
    return Array.from(this.byKey.values(), ({ labels, value }) => ({ labels, value: read(value) }));
  }
}

/** A number that only grows. */
export interface Count {
  n: number;
}
export const counts = () => new Labelled<Count>(() => ({ n: 0 }));
export const histograms = (bounds: readonly number[]) => new Labelled(() => new Histogram(bounds));

export function counter(name: string, help: string, labelled: Labelled<Count>): MetricFamily {
  return { name, help, type: "counter", points: labelled.points(({ n }) => n) };
}

export function histogram(name: string, help: string, labelled: Labelled<Histogram>): MetricFamily {
  return { name, help, type: "histogram", points: labelled.points((value) => value) };
}

/** A gauge of these points. One without points is left out of what is exposed: it is not known. */
export function gauge(name: string, help: string, points: readonly MetricPoint[]): MetricFamily {
  return { name, help, type: "gauge", points };
}

/** The one point of a gauge without labels; none where the value is not known. */
export function only(value: number | null): MetricPoint[] {
  return value === null ? [] : [{ labels: {}, value }];
}
