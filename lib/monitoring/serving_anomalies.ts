import type { ServingSpan } from "../core/types.ts";
import type { Anomaly } from "./anomaly.ts";
import { findIncidents, type Incidents } from "./incidents.ts";
import { forecastShare, median } from "./forecast.ts";
import { percent } from "../core/text.ts";
import { findOutlier } from "./outliers.ts";

/** Minutes of answers that are judged together: one alone is noise, and of a quiet API too few. */
export const SPAN_MINUTES = 5;
/** With fewer requests a span says nothing. */
const MIN_REQUESTS = 50;
/** Share of errors, or of degraded answers, below which nothing is said. */
const MIN_ERRORS = 0.01;
/** Share of them that is wrong whatever was usual. */
const MANY_ERRORS = 0.05;
/** How much of its hit rate the cache must have lost. */
const HITS_LOST = 0.2;
/** Spans in a row that must have lost it. */
const LASTING = 3;
/** How long after a publish, which empties the cache, its hits are not checked; and times, while new files are read. */
const FILLING_MS = 60 * 60_000;
const SETTLING_MS = 10 * 60_000;
/** Answers of one kind, from the cache or not, that it takes to judge how long they took. */
const MIN_TIMED = 20;
const SLOW = { min_difference: 20, factor: 2 };

/**
 * What the newest span shows against those before, oldest first, and what they showed in their time. `published` is when
 * the newest data version was published, ISO.
 */
export function servingAnomalies(spans: readonly ServingSpan[], published: string | null): Incidents {
  // Of the span that is under way there may be too little yet, which is no news.
  const begun = (spans.at(-1)?.requests ?? 0) < MIN_REQUESTS ? spans.slice(0, -1) : spans;
  return findIncidents(begun, { at: ({ at }) => at, judge: (upTo) => judgeSpan(upTo, published) });
}

/** What is unusual about the last of some spans. */
export function judgeSpan(spans: readonly ServingSpan[], published: string | null): Anomaly[] {
  const now = spans.at(-1)!;
  // A whole span with too few requests is no reason to judge an older one.
  if (now.requests < MIN_REQUESTS) return [];
  const before = spans.slice(0, -1).filter(({ requests }) => requests >= MIN_REQUESTS);
  const since = published === null ? Infinity : Date.parse(now.at) - Date.parse(published);
  const within = (ms: number) => since > -SPAN_MINUTES * 60_000 && since < ms;
  return [
    errors(now, before),
    degraded(now, before),
    within(FILLING_MS) ? null : hits(now, before),
    within(SETTLING_MS) ? null : slow(now, before),
  ].filter((each) => each !== null);
}

function errors(now: ServingSpan, before: readonly ServingSpan[]): Anomaly | null {
  const found = tooMany("errors", now, before);
  if (found === null) return null;
  const { figure, expected } = found;
  return anomaly("api_errors", "errors", now, {
    severity: figure >= MANY_ERRORS ? "critical" : "warning",
    ...found,
    text: `${percent(figure)} of the answers are errors where ${percent(expected)} are usual: ` +
      "the log names each with its instance; `deno task doctor` says what is down",
  });
}

/** Such an answer is right as far as it goes, so it is no error. */
function degraded(now: ServingSpan, before: readonly ServingSpan[]): Anomaly | null {
  const found = tooMany("degraded", now, before);
  if (found === null) return null;
  const { figure, expected } = found;
  return anomaly("api_degraded", "degraded answers", now, {
    severity: "warning",
    ...found,
    text: `${percent(figure)} of the answers lack what a store should have given, where ${
      percent(expected)
    } are usual: each names the store in \`degraded\`; \`deno task doctor\` says what is down or slow`,
  });
}

/** A share of the answers that is wrong whatever was usual, or more than was; null where it is neither. */
function tooMany(
  of: "errors" | "degraded",
  now: ServingSpan,
  before: readonly ServingSpan[],
): Pick<Anomaly, "figure" | "expected" | "unit" | "usual" | "history"> | null {
  const figure = now[of] / now.requests;
  const parts = before.map((span) => ({ part: span[of], whole: span.requests }));
  const usual = forecastShare(parts, now.requests);
  const few = usual === null || figure < MIN_ERRORS || figure <= usual.high;
  if (figure < MANY_ERRORS && few) return null;
  return {
    figure,
    expected: usual?.expected ?? 0,
    unit: "share",
    ...usual === null ? {} : { usual: [usual.low, usual.high] as const },
    history: [...parts.map(({ part, whole }) => part / whole), figure],
  };
}

function hits(now: ServingSpan, before: readonly ServingSpan[]): Anomaly | null {
  const recent = [...before.slice(1 - LASTING), now];
  const rates = [...before, now].map((span) => span.hits / span.requests);
  const earlier = before.slice(0, 1 - LASTING).map(({ hits, requests }) => ({ part: hits, whole: requests }));
  const usual = forecastShare(earlier, now.requests);
  if (usual === null) return null;
  const limit = Math.min(usual.low, (1 - HITS_LOST) * usual.expected);
  if (!rates.slice(-LASTING).every((rate) => rate < limit)) return null;
  const figure = now.hits / now.requests;
  return anomaly("cache_hits_low", "hit rate", recent[0]!, {
    severity: "warning",
    figure,
    expected: usual.expected,
    unit: "share",
    usual: [usual.low, usual.high],
    history: rates,
    text:
      `${percent(figure)} of the answers come from the cache where ${percent(usual.expected)} are usual: ` +
      "look whether the cache is up and large enough (PARLEY_CACHE)",
  });
}

/** Answers from the cache and others are judged apart: an emptied cache makes more of the slower kind, none slower. */
function slow(now: ServingSpan, before: readonly ServingSpan[]): Anomaly | null {
  return latency(now, before, {
    what: "answers from the cache",
    of: ({ hits, hit_p95_ms }) => [hits, hit_p95_ms],
  }) ??
    latency(now, before, {
      what: "answers that the cache did not have",
      of: ({ requests, hits, made_p95_ms }) => [requests - hits, made_p95_ms],
    });
}

function latency(
  now: ServingSpan,
  before: readonly ServingSpan[],
  { what, of }: { what: string; of: (span: ServingSpan) => readonly [count: number, p95_ms: number | null] },
): Anomaly | null {
  const timed = [...before, now].flatMap((span) => {
    const [count, value] = of(span);
    return value === null || count < MIN_TIMED ? [] : [{ span, at: Date.parse(span.at), value }];
  });
  const newest = timed.pop();
  if (newest?.span !== now) return null;
  const seen = findOutlier(timed, newest, SLOW);
  if (seen === null || newest.value < seen.expected) return null;
  const history = timed.map(({ value }) => value);
  return anomaly("api_slow", "latency", now, {
    severity: "warning",
    figure: newest.value,
    expected: median(history),
    unit: "ms",
    usual: seen.usual,
    history: [...history, newest.value],
    text:
      `95 % of the ${what} take up to ${newest.value.toFixed(0)} ms where ${
        median(history).toFixed(0)
      } ms are ` +
      "usual: `Server-Timing` names the stage; look whether a run or another process takes the machine",
  });
}

function anomaly(
  code: string,
  measure: string,
  { at: since }: ServingSpan,
  rest: Pick<Anomaly, "severity" | "figure" | "expected" | "unit" | "history" | "usual" | "text">,
): Anomaly {
  return { code, subject: { kind: "api", measure }, since, run_id: null, ...rest };
}
