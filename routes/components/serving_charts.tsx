import type { ServingSpan } from "../../lib/core/types.ts";
import { LineChart, type Series } from "./chart.tsx";
import { Empty, Section } from "./layout.tsx";

type Latencies = Pick<ServingSpan, "at" | "p50_ms" | "p95_ms">;
type ServingMetric = "requests" | "p50_ms" | "p95_ms";

/** Without the current minute, which is not complete and would look like a fall. */
function completeMinutes<Minute extends { readonly at: string }>(
  minutes: readonly Minute[],
  now: number,
): Minute[] {
  return minutes.filter(({ at }) => Date.parse(at) + 60_000 <= now);
}

function series<Key extends ServingMetric>(
  name: string,
  key: Key,
  minutes: readonly ({ readonly at: string } & { readonly [K in Key]: number | null })[],
): Series {
  return {
    name,
    points: minutes.flatMap(({ at, [key]: y }) => y === null ? [] : [{ x: Date.parse(at), y }]),
  };
}

function LatencyChart({ title, minutes }: { title: string; minutes: readonly Latencies[] }) {
  return (
    <LineChart title={title} series={[series("p95", "p95_ms", minutes), series("p50", "p50_ms", minutes)]} />
  );
}

/** The last hour of this process. */
export function AnswerCharts({ minutes: all, now }: { minutes: readonly ServingSpan[]; now: number }) {
  const minutes = completeMinutes(all, now);
  if (minutes.length < 2) {
    return (
      <Section id="answers" title="Answers of the last hour">
        <Empty>
          Too few answers to draw. <code>GET /recommendations/USER_ID</code>{" "}
          adds one. Each process counts its own.
        </Empty>
      </Section>
    );
  }
  return (
    <Section id="answers" title="Answers of the last hour" aside="of this process">
      <LineChart title="Answers a minute" series={[series("answers", "requests", minutes)]} />
      <LatencyChart title="Latency in milliseconds" minutes={minutes} />
    </Section>
  );
}

/** How long answers waited for each store in the last hour, by minute. */
export function StoreCharts(
  { stores, now }: {
    stores: readonly { readonly name: string; readonly minutes: readonly Latencies[] }[];
    now: number;
  },
) {
  const charted = stores.map(({ name, minutes }) => ({ name, minutes: completeMinutes(minutes, now) }))
    .filter(({ minutes }) => minutes.length > 1);
  return (
    <Section title="How long answers wait for stores" aside="of this process, in the last hour">
      {charted.length === 0
        ? (
          <Empty>
            Too few answers to draw. <code>GET /recommendations/USER_ID</code>{" "}
            adds one. Answers do not use documents and runs.
          </Empty>
        )
        : (
          <div class="charts">
            {charted.map(({ name, minutes }) => (
              <LatencyChart title={`${name}, milliseconds`} minutes={minutes} />
            ))}
          </div>
        )}
    </Section>
  );
}
