import { type Anomaly, subjectName } from "./anomaly.ts";

/** What holds now, and what held and no longer does. */
export interface Episodes {
  readonly open: readonly Anomaly[];
  readonly past: readonly Anomaly[];
}

/**
 * Judges the points of a series (oldest first, from index `from` on) as they came in, each by those up to it. What is
 * found in one after the other is one episode: told as it was found last, since it was found first, until the point at
 * which it no longer was. `at` gives a point's ISO time.
 */
export function episodes<Point>(
  points: readonly Point[],
  { at, judge, from = 0 }: {
    at: (point: Point) => string;
    judge: (upTo: readonly Point[]) => readonly Anomaly[];
    from?: number;
  },
): Episodes {
  const past: Anomaly[] = [];
  let held = new Map<string, Anomaly>();
  for (let i = from; i < points.length; i++) {
    const found = new Map(judge(points.slice(0, i + 1)).map((one) => [keyOf(one), one]));
    for (const [key, one] of held) {
      if (!found.has(key)) past.push({ ...one, until: at(points[i]!) });
    }
    held = new Map(
      Array.from(found, ([key, one]) => [key, { ...one, since: held.get(key)?.since ?? one.since }]),
    );
  }
  return { open: [...held.values()], past };
}

function keyOf({ code, subject }: Anomaly): string {
  return `${code} ${subjectName(subject)}`;
}
