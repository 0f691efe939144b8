/**
 * How long to wait before try `tries + 1`: exponential with full jitter and a cap, in milliseconds.
 * See Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015).
 */
export function backoff(options: {
  /** Tries made, 1 or more. */
  tries: number;
  base_ms?: number;
  cap_ms?: number;
  /** 0 ≤ random() < 1. */
  random: () => number;
}): number {
  const { base_ms = 1_000, cap_ms = 300_000 } = options;
  return Math.floor(options.random() * Math.min(cap_ms, base_ms * 2 ** (options.tries - 1)));
}

/**
 * Reads `Retry-After` (RFC 9110, section 10.2.3) off an error that carries `retry_after` as the header's text or as
 * seconds; milliseconds from `now`, or null if it has none.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { retryAfter } from "./backoff.ts";
 *
 * assert.equal(retryAfter({ retry_after: "3" }, Date.now()), 3_000);
 * ```
 */
export function retryAfter(error: unknown, now: number): number | null {
  const value = typeof error === "object" && error !== null && "retry_after" in error
    ? error.retry_after
    : null;
  if (typeof value === "number" && Number.isFinite(value)) return Math.max(0, value * 1_000);
  if (typeof value !== "string") return null;
  if (/^\d+$/.test(value)) return Number(value) * 1_000;
  const at = Date.parse(value);
  return Number.isNaN(at) ? null : Math.max(0, at - now);
}
