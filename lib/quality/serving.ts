import type { Anomaly } from "./anomaly.ts";
import { forecastShare, median } from "./robust.ts";
import { percent, unusual } from "./unusual.ts";

/** What the API did in one window of time. */
export interface ServingWindow {
  /** When the window ended, ISO. */
  readonly at: string;
  /** Requests for recommendations. */
  readonly requests: number;
  /** Those of them that were answered with a 5xx. */
  readonly errors: number;
  /** Answers that came from the cache. */
  readonly hits: number;
  /** 95th percentile of the time to answer, in milliseconds; null without requests. */
  readonly p95_ms: number | null;
}

/** With fewer requests a window says nothing. */
const MIN_REQUESTS = 50;
/** Share of errors below which nobody is called. */
const MIN_ERRORS = 0.01;
/** Share of errors that is wrong whatever was usual. */
const MANY_ERRORS = 0.05;
/** How much of its hit rate the cache must have lost. */
const HITS_LOST = 0.2;
const SLOW = { least: 20, factor: 2 };

/** What the newest window shows against those before, oldest first. */
export function servingAnomalies(windows: readonly ServingWindow[]): Anomaly[] {
  const [now, ...before] = windows.filter(({ requests }) => requests >= MIN_REQUESTS).reverse();
  // A window that has too few requests to judge is no reason to judge an older one.
  if (now === undefined || now !== windows.at(-1)) return [];
  const history = before.reverse();
  return [errors(now, history), hits(now, history), latency(now, history)].filter((each) => each !== null);
}

function errors(now: ServingWindow, before: readonly ServingWindow[]): Anomaly | null {
  const figure = now.errors / now.requests;
  const parts = before.map(({ errors, requests }) => ({ part: errors, whole: requests }));
  const usual = forecastShare(parts, now.requests);
  const many = figure >= MANY_ERRORS;
  if (!many && (usual === null || figure < MIN_ERRORS || figure <= usual.high)) return null;
  const expected = usual?.expected ?? 0;
  return anomaly("api_errors", "errors", now, {
    severity: many ? "critical" : "warning",
    figure,
    expected,
    unit: "share",
    history: [...parts.map(({ part, whole }) => part / whole), figure],
    text: `${percent(figure)} of the answers are errors where ${percent(expected)} are usual: ` +
      "the log names each with its instance; `deno task doctor` says what is down",
  });
}

function hits(now: ServingWindow, before: readonly ServingWindow[]): Anomaly | null {
  const figure = now.hits / now.requests;
  const parts = before.map(({ hits, requests }) => ({ part: hits, whole: requests }));
  const usual = forecastShare(parts, now.requests);
  if (usual === null || figure >= usual.low || figure > (1 - HITS_LOST) * usual.expected) return null;
  return anomaly("cache_hits_low", "hit rate", now, {
    severity: "warning",
    figure,
    expected: usual.expected,
    unit: "share",
    history: [...parts.map(({ part, whole }) => part / whole), figure],
    text:
      `${percent(figure)} of the answers come from the cache where ${percent(usual.expected)} are usual: ` +
      "it is right after a publish; else look whether the cache is up and large enough (PARLEY_CACHE)",
  });
}

function latency(now: ServingWindow, before: readonly ServingWindow[]): Anomaly | null {
  if (now.p95_ms === null) return null;
  const points = before.flatMap(({ at, p95_ms }) =>
    p95_ms === null ? [] : [{ at: Date.parse(at), value: p95_ms }]
  );
  const seen = unusual(points, { at: Date.parse(now.at), value: now.p95_ms }, SLOW);
  if (seen === null || now.p95_ms < seen.expected) return null;
  const history = points.map(({ value }) => value);
  return anomaly("api_slow", "latency", now, {
    severity: "warning",
    figure: now.p95_ms,
    expected: median(history),
    unit: "ms",
    history: [...history, now.p95_ms],
    text:
      `95 % of the answers take up to ${now.p95_ms.toFixed(0)} ms where ${median(history).toFixed(0)} ms ` +
      "are usual: `Server-Timing` names the stage; look whether a run or another process takes the machine",
  });
}

function anomaly(
  code: string,
  measure: string,
  { at: since }: ServingWindow,
  rest: Pick<Anomaly, "severity" | "figure" | "expected" | "unit" | "history" | "text">,
): Anomaly {
  return { code, subject: { kind: "api", measure }, since, run_id: null, ...rest };
}
