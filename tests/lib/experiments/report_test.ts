import assert from "node:assert/strict";
import { upliftSince } from "../../../lib/experiments/report.ts";

Deno.test("upliftSince() is the first day of the quarter, or of the one before in the first four weeks", () => {
  for (
    const [now, since] of [
      ["2026-01-29T00:00:00.000Z", "2026-01-01"],
      ["2026-01-28T23:59:59.999Z", "2025-10-01"],
      ["2026-01-01T00:00:00.000Z", "2025-10-01"],
      ["2026-03-31T23:59:59.999Z", "2026-01-01"],
      ["2026-04-01T00:00:00.000Z", "2026-01-01"],
      ["2026-12-31T12:00:00.000Z", "2026-10-01"],
    ] as const
  ) {
    assert.equal(upliftSince(Date.parse(now)), `${since}T00:00:00.000Z`, now);
  }
});
