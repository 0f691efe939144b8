import { type Anomaly, SEVERITIES, subjectName } from "./anomaly.ts";

/** What holds now, and what held and no longer does, oldest first. */
export interface Incidents {
  readonly open: readonly Anomaly[];
  readonly past: readonly Anomaly[];
}

/**
 * Judges the points of a series (oldest first, from index `from` on) as they came in, each by those up to it. The same code about
 * the same subject in consecutive points is one incident, since the first of them: reported as it is now while it is open, and
 * at its worst once a point no longer shows it. With `byCause`, another cause is another incident, which an acknowledgement of
 * the first does not cover. `at` gives a point's ISO time.
 */
export function findIncidents<Point>(
  points: readonly Point[],
  { at, judge, from = 0, byCause = false }: {
    at: (point: Point) => string;
    judge: (upTo: readonly Point[]) => readonly Anomaly[];
    from?: number;
    byCause?: boolean;
  },
): Incidents {
  const past: Anomaly[] = [];
  let held = new Map<string, { now: Anomaly; worst: Anomaly }>();
  for (let i = from; i < points.length; i++) {
    const before = held;
    held = new Map(
      judge(points.slice(0, i + 1)).map((one) => {
        const name = `${one.code} ${subjectName(one.subject)} ${byCause ? one.cause : ""}`;
        const { worst = one } = before.get(name) ?? {};
        const now = { ...one, since: worst.since };
        return [name, { now, worst: isWorse(now, worst) ? now : worst }];
      }),
    );
    for (const [name, { worst }] of before) {
      if (!held.has(name)) past.push({ ...worst, until: at(points[i]!) });
    }
  }
  return { open: Array.from(held.values(), ({ now }) => now), past };
}

function isWorse(a: Anomaly, b: Anomaly): boolean {
  const graver = SEVERITIES.indexOf(b.severity) - SEVERITIES.indexOf(a.severity);
  return graver > 0 || graver === 0 && Math.abs(a.figure - a.expected) > Math.abs(b.figure - b.expected);
}
