import type { ServingMinute } from "../../lib/core/types.ts";
import { LineChart } from "./chart.tsx";
import { Empty, Figure, Section } from "./layout.tsx";
import { figure, percent } from "./numbers.ts";

const RECENT_MS = 5 * 60_000;

/** Answers of the last five minutes, as this process gave them. */
export function AnswerFigures({ minutes, now }: { minutes: readonly ServingMinute[]; now: number }) {
  const recent = minutes.filter(({ at }) => Date.parse(at) > now - RECENT_MS);
  const sum = (key: "requests" | "hits" | "errors" | "degraded") =>
    recent.reduce((total, each) => total + each[key], 0);
  const requests = sum("requests");
  if (requests === 0) return <Figure name="Answers" value="none" note="in the last five minutes" />;
  const since = Math.max(now - RECENT_MS, Date.parse(recent[0]!.at));
  const per_s = requests / Math.max(1, (now - since) / 1_000);
  const { p50_ms, p95_ms } = recent.at(-1)!;
  const [errors, degraded] = [sum("errors"), sum("degraded")];
  return (
    <>
      <Figure name="Answers a second" value={figure(per_s)} note="in the last five minutes" />
      <Figure
        name="Latency, p95"
        value={`${figure(p95_ms ?? 0)} ms`}
        note={`p50 ${figure(p50_ms ?? 0)} ms, last minute`}
      />
      <Figure
        name="From the cache"
        value={percent(sum("hits") / requests)}
        note={`of ${figure(requests)} answers`}
      />
      <Figure
        name="Errors"
        value={percent(errors / requests)}
        note={`${percent(degraded / requests)} degraded`}
        tone={errors > 0 ? "bad" : degraded > 0 ? "warn" : "plain"}
      />
    </>
  );
}

/** The last hour of this process. The minute that is under way is left out: it would look like a fall. */
export function AnswerCharts({ minutes: all, now }: { minutes: readonly ServingMinute[]; now: number }) {
  const minutes = all.filter(({ at }) => Date.parse(at) + 60_000 <= now);
  if (minutes.length < 2) {
    return (
      <Section title="Answers of the last hour">
        <Empty>
          Too few to draw: <code>GET /recommendations/USER_ID</code> makes them. Each process counts its own.
        </Empty>
      </Section>
    );
  }
  const series = (name: string, key: "requests" | "p50_ms" | "p95_ms") => ({
    name,
    points: minutes.flatMap((each) => each[key] === null ? [] : [{ x: Date.parse(each.at), y: each[key] }]),
  });
  return (
    <Section title="Answers of the last hour" aside="of this process">
      <LineChart title="Answers a minute" series={[series("answers", "requests")]} />
      <LineChart
        title="Latency in milliseconds"
        series={[series("p95", "p95_ms"), series("p50", "p50_ms")]}
      />
    </Section>
  );
}
