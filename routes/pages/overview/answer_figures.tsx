import { counted } from "../../../lib/core/text.ts";
import type { ServingSpan } from "../../../lib/core/types.ts";
import {
  formatCompact,
  formatMilliseconds,
  formatNumber,
  formatPercent,
} from "../../components/format_number.ts";
import { Figure } from "../../components/layout.tsx";

const RECENT_MS = 5 * 60_000;

/** The answers that this process gave in the last five minutes. */
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

/** Errors and degraded answers, each as a figure; one figure says that there were none. */
function Faults({ requests, errors, degraded }: { requests: number; errors: number; degraded: number }) {
  if (errors + degraded === 0) return <Figure name="Errors" value="none" note="no answer lacks a part" />;
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
          note={`${of(degraded)}: these lack what a store should give`}
          tone="warn"
        />
      )}
    </>
  );
}
