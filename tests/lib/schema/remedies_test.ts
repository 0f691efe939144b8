import assert from "node:assert/strict";
import { parseRow } from "../../../lib/schema/row.ts";
import { remedyOf } from "../../../lib/schema/remedies.ts";
import { timeWindow } from "../../../lib/schema/time.ts";

const window = timeWindow({ now: Date.UTC(2026, 5, 1) });
const MESSAGE = { user_id: "u", message: "x", timestamp: "2026-05-01T00:00:00Z" };

Deno.test("remedyOf() fits the reasons that rows are refused for", () => {
  const remedies: [Record<string, unknown>, RegExp][] = [
    [{ user: "u", text: "x", ts: 1 }, /^Give the fields the names.*in a CSV/],
    [{ page: 1, items: [MESSAGE] }, /^Give the list alone/],
    [{ campaign_id: "k", title: "x" }, /right kind of rows/],
    [{ ...MESSAGE, timestamp: "2026-05-01T00:00:00" }, /write times in UTC/],
    [{ ...MESSAGE, timestamp: "2026-05-01" }, /write times in UTC/],
    [{ ...MESSAGE, timestamp: "2026-07-01T00:00:00Z" }, /Look at the clock/],
    [{ ...MESSAGE, timestamp: "1989-07-01T00:00:00Z" }, /Look at the clock/],
    [{ ...MESSAGE, metadata: { x: "x".repeat(70_000) } }, /^Make what is in `metadata` smaller/],
    [{ ...MESSAGE, message: "x".repeat(2_000_000) }, /^Shorten/],
    [{ ...MESSAGE, role: "bot" }, /^Correct the field/],
  ];
  for (const [value, remedy] of remedies) {
    const parsed = parseRow({ kind: "messages", value, window });
    assert.ok(!parsed.ok);
    assert.match(remedyOf(parsed.reason), remedy, parsed.reason);
  }
});
