import type { ServingMinute } from "../core/types.ts";
import type { Anomaly } from "./anomaly.ts";
import { forecastShare, median } from "./robust.ts";
import { percent, unusual } from "./unusual.ts";

/** With fewer requests a window says nothing. */
const MIN_REQUESTS = 50;
/** Share of errors below which nobody is called. */
const MIN_ERRORS = 0.01;
/** Share of errors that is wrong whatever was usual. */
const MANY_ERRORS = 0.05;
/** How much of its hit rate the cache must have lost. */
const HITS_LOST = 0.2;
/** Windows in a row that must have lost it. */
const LASTING = 5;
const SLOW = { least: 20, factor: 2 };

/** What the newest window shows against those before, oldest first. */
export function servingAnomalies(windows: readonly ServingMinute[]): Anomaly[] {
  const [now, ...before] = windows.filter(({ requests }) => requests >= MIN_REQUESTS).reverse();
  // A window that has too few requests to judge is no reason to judge an older one.
  if (now === undefined || now !== windows.at(-1)) return [];
  const history = before.reverse();
  return [errors(now, history), hits(now, history), latency(now, history)].filter((each) => each !== null);
}

function errors(now: ServingMinute, before: readonly ServingMinute[]): Anomaly | null {
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
    ...usual === null ? {} : { usual: [usual.low, usual.high] as const },
    history: [...parts.map(({ part, whole }) => part / whole), figure],
    text: `${percent(figure)} of the answers are errors where ${percent(expected)} are usual: ` +
      "the log names each with its instance; `deno task doctor` says what is down",
  });
}

/** A publish empties the cache for a while, so that one window proves nothing: all of the last ones must be low. */
function hits(now: ServingMinute, before: readonly ServingMinute[]): Anomaly | null {
  const recent = [...before.slice(1 - LASTING), now];
  const rates = [...before, now].map((window) => window.hits / window.requests);
  const earlier = before.slice(0, 1 - LASTING).map((window) => ({
    part: window.hits,
    whole: window.requests,
  }));
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
      "look whether the cache is up and large enough (PARLEY_CACHE), unless a data version was just published",
  });
}

function latency(now: ServingMinute, before: readonly ServingMinute[]): Anomaly | null {
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
    usual: seen.usual,
    history: [...history, now.p95_ms],
    text:
      `95 % of the answers take up to ${now.p95_ms.toFixed(0)} ms where ${median(history).toFixed(0)} ms ` +
      "are usual: `Server-Timing` names the stage; look whether a run or another process takes the machine",
  });
}

function anomaly(
  code: string,
  measure: string,
  { at: since }: ServingMinute,
  rest: Pick<Anomaly, "severity" | "figure" | "expected" | "unit" | "history" | "usual" | "text">,
): Anomaly {
  return { code, subject: { kind: "api", measure }, since, run_id: null, ...rest };
}
