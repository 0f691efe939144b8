import type { EngagementCounts } from "../stores/analytics/port.ts";

/** Showings after the first that would take all of the score, and the share of it that they take at most. */
const SHOWINGS = 10;
const MAX_FATIGUE = 0.5;

/**
 * The share of a campaign's score, 0..{@link MAX_FATIGUE}, that is lost because it was shown to the user again and again and they neither
 * clicked it nor converted on it. Once is no sign: what was just shown is often what is chosen next.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { fatigueOf } from "./fatigue.ts";
 *
 * assert.equal(fatigueOf({ impressions: 4, clicks: 0, conversions: 0, dismissals: 0 }), 0.3);
 * ```
 */
export function fatigueOf({ impressions, clicks, conversions }: EngagementCounts): number {
  if (clicks + conversions > 0) return 0;
  return Math.min(MAX_FATIGUE, Math.max(0, impressions - 1) / SHOWINGS);
}
