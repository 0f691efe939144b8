import { counted } from "../../lib/core/text.ts";
import type { ServingSpan } from "../../lib/core/types.ts";
import { LineChart, type Series } from "./chart.tsx";
import { Empty, Figure, Section } from "./layout.tsx";
import { formatCompact, formatMilliseconds, formatNumber, formatPercent } from "./format_number.ts";

const RECENT_MS = 5 * 60_000;

/** Answers of the last five minutes, as this process gave them. */
export function AnswerFigures({ minutes, now }: { minutes: readonly ServingSpan[]; now: number }) {
  const recent = minutes.filter(({ at }) => Date.parse(at) > now - RECENT_MS);
  const sum = (key: "requests" | "hits" | "errors" | "degraded") =>
    recent.reduce((total, each) => total + each[key], 0);
  const requests = sum("requests");
  if (requests === 0) return <Figure name="Answers" value="none" note="in the last five minutes" />;
  const since = Math.max(now - RECENT_MS, Date.parse(recent[0]!.at));
  const per_minute = requests / Math.max(1 / 60, (now - since) / 60_000);
  const { p50_ms, p95_ms } = recent.at(-1)!;
  return (
    <>
      <Figure name="Answers" value={rate(per_minute)} note="in the last five minutes" />
      <Figure
        name="95 % within"
        value={formatMilliseconds(p95_ms ?? 0)}
        note={`half within ${formatMilliseconds(p50_ms ?? 0)}`}
      />
      <Figure
        name="From the cache"
        value={formatPercent(sum("hits") / requests)}
        note={`of ${counted(requests, "answer")}`}
      />
      <Faults requests={requests} errors={sum("errors")} degraded={sum("degraded")} />
    </>
  );
}

function rate(per_minute: number): string {
  return per_minute < 120
    ? `${Math.ceil(per_minute)} / min`
    : `${formatCompact(Math.round(per_minute / 60))} / s`;
}

/** What was wrong with answers, each as a figure of its own; that nothing was, where nothing was. */
function Faults({ requests, errors, degraded }: { requests: number; errors: number; degraded: number }) {
  if (errors + degraded === 0) return <Figure name="Errors" value="none" note="all answers whole" />;
  const of = (n: number) => `${formatNumber(n)} of ${counted(requests, "answer")}`;
  return (
    <>
      {errors > 0 && (
        <Figure name="Errors" value={formatPercent(errors / requests)} note={of(errors)} tone="bad" />
      )}
      {degraded > 0 && (
        <Figure
          name="Degraded"
          value={formatPercent(degraded / requests)}
          note={`${of(degraded)}: without what a store should have given`}
          tone="warn"
        />
      )}
    </>
  );
}

type Latencies = Pick<ServingSpan, "at" | "p50_ms" | "p95_ms">;
type ServingMeasure = "requests" | "p50_ms" | "p95_ms";

/** Without the minute that is under way, which would look like a fall. */
function whole<Minute extends { readonly at: string }>(minutes: readonly Minute[], now: number): Minute[] {
  return minutes.filter(({ at }) => Date.parse(at) + 60_000 <= now);
}

function series<Key extends ServingMeasure>(
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
  const minutes = whole(all, now);
  if (minutes.length < 2) {
    return (
      <Section id="answers" title="Answers of the last hour">
        <Empty>
          Too few to draw: <code>GET /recommendations/USER_ID</code> makes them. Each process counts its own.
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

/** How long answers waited for each store, by minute of the last hour. */
export function StoreCharts(
  { stores, now }: {
    stores: readonly { readonly name: string; readonly minutes: readonly Latencies[] }[];
    now: number;
  },
) {
  const drawn = stores.map(({ name, minutes }) => ({ name, minutes: whole(minutes, now) }))
    .filter(({ minutes }) => minutes.length > 1);
  return (
    <Section title="How long answers wait for stores" aside="of this process, in the last hour">
      {drawn.length === 0
        ? (
          <Empty>
            Too few answers to draw: <code>GET /recommendations/USER_ID</code>{" "}
            makes them. Documents and runs are not asked for them.
          </Empty>
        )
        : (
          <div class="charts">
            {drawn.map(({ name, minutes }) => (
              <LatencyChart title={`${name}, milliseconds`} minutes={minutes} />
            ))}
          </div>
        )}
    </Section>
  );
}
