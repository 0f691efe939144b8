/** Names and values of labels. Values are defined in this program and never come from a request or a row. */
type Labels = Readonly<Record<string, string>>;

/** One value with its labels. */
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

/** Counts observations by upper bounds, in ascending order; the last count is of those above all bounds. */
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
    let bucket = 0;
    while (bucket < this.bounds.length && value > this.bounds[bucket]!) bucket++;
    this.counts[bucket]!++;
    this.sum += value;
  }
}

/** Values by labels, each created on first use. Hot paths look a value up once and keep it. */
class Labelled<Value> {
  private readonly byKey = new Map<string, { readonly labels: Labels; readonly value: Value }>();

  constructor(private readonly make: () => Value) {}

  withLabels(labels: Labels): Value {
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

/** A gauge of these points. A gauge without points, whose value is unknown, is not exposed. */
export function gauge(name: string, help: string, points: readonly MetricPoint[]): MetricFamily {
  return { name, help, type: "gauge", points };
}

/** The point of a gauge without labels; none if the value is unknown. */
export function singlePoint(value: number | null): MetricPoint[] {
  return value === null ? [] : [{ labels: {}, value }];
}
