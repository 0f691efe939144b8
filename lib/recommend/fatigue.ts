import type { EngagementCounts } from "../stores/analytics/port.ts";

/** Impressions after the first that would take all of the score, and the largest share that they may take. */
const SHOWINGS = 10;
const MAX_FATIGUE = 0.5;

/**
 * The share of a campaign's score, 0..{@link MAX_FATIGUE}, that is lost because it was shown to the user repeatedly without a click or a conversion. One impression does not count: what was just shown is often chosen next.
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
