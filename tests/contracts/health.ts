import assert from "node:assert/strict";
import type { Health } from "../../lib/core/types.ts";

/** What every store says of itself once something was asked of it. */
export function healthy({ adapter, version, latency_ms, bytes }: Health): void {
  assert.notEqual(adapter, "");
  assert.match(version, /\d/);
  assert.ok(latency_ms >= 0);
  assert.ok(bytes === null || Number.isInteger(bytes) && bytes >= 0, `${bytes} bytes`);
}
