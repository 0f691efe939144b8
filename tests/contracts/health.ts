import assert from "node:assert/strict";
import type { Health } from "../../lib/core/types.ts";

/** The health of every store after a first call. */
export function healthy({ adapter, version, latency_ms, bytes }: Health): void {
  assert.notEqual(adapter, "");
  assert.match(version, /\d/);
  assert.ok(latency_ms >= 0);
  assert.ok(bytes === null || Number.isInteger(bytes) && bytes >= 0, `${bytes} bytes`);
}
