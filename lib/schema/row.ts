import { Buffer, type z } from "../../deps.ts";
import type { Kind, Rows } from "../core/types.ts";
import { campaignInput, campaignSchema } from "./campaign.ts";
import { eventInput, eventSchema } from "./event.ts";
import { missingFieldsHint } from "./field_hints.ts";
import { describeIssues } from "./issues.ts";
import { messageInput, messageSchema } from "./message.ts";
import { foldUnknown, isObject } from "./metadata.ts";
import { storable } from "./text.ts";
import { outsideWindow, type TimeWindow } from "./time.ts";

/** Grows when the same input would give another row; recorded in lineage. */
export const SCHEMA_VERSION = "2";

type ParseResult<Row> =
  | { readonly ok: true; readonly row: Row }
  /** `reason` names fields and what is wrong with them, and never quotes the row. `path` leads to the first of them. */
  | { readonly ok: false; readonly reason: string; readonly path: readonly PropertyKey[] };

interface RowSchema<Row> {
  readonly schema: z.ZodType<Row>;
  readonly fieldNames: ReadonlySet<string>;
}

const ROW_SCHEMAS: { readonly [K in Kind]: RowSchema<Rows[K]> } = {
  messages: { schema: messageSchema, fieldNames: new Set(Object.keys(messageInput.shape)) },
  campaigns: { schema: campaignSchema, fieldNames: new Set(Object.keys(campaignInput.shape)) },
  events: { schema: eventSchema, fieldNames: new Set(Object.keys(eventInput.shape)) },
};

const ID_OF: { readonly [K in Kind]: (row: Rows[K]) => string } = {
  messages: (row) => row.message_id,
  campaigns: (row) => row.campaign_id,
  events: (row) => row.event_id,
};

/** The id that a row is stored by. */
export function rowId<K extends Kind>(kind: K, row: Rows[K]): string {
  const idOf: (row: Rows[K]) => string = ID_OF[kind];
  return idOf(row);
}

/** UTF-16 units of a refused row that are stored, so that they take at most 64 KB in UTF-8. */
const MAX_RAW = 21_845;

/** The beginning of a refused row in a copy of its own: a slice would keep alive all that was read with it. */
export function rawOf(text: string): string {
  return storable(Buffer.from(text.slice(0, MAX_RAW)).toString());
}

/**
 * Returns the canonical row of an input value: ids as text, times in UTC, defaults filled, unknown fields in `metadata`, keys in a fixed order, so that `JSON.stringify` of equal rows is equal. The time of a message or an event must be within the `window`.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { parseRow } from "./row.ts";
 *
 * const window = { earliest: "2020-01-01T00:00:00.000Z", latest: "2030-01-01T00:00:00.000Z" };
 * const value = { user_id: 7, message: "Trail shoes?", timestamp: "2026-01-01T10:00:00+01:00" };
 * const parsed = parseRow({ kind: "messages", value, window });
 * assert.ok(parsed.ok);
 * assert.equal(parsed.row.user_id, "7");
 * assert.equal(parsed.row.timestamp, "2026-01-01T09:00:00.000Z");
 * ```
 */
export function parseRow<K extends Kind>(
  { kind, value, window }: { kind: K; value: unknown; window: TimeWindow },
): ParseResult<Rows[K]> {
  const rowSchema: RowSchema<Rows[K]> = ROW_SCHEMAS[kind];
  if (!isObject(value)) return { ok: false, reason: "the row is not a JSON object", path: [] };
  const folded = foldUnknown(value, rowSchema.fieldNames);
  if (folded === null) {
    const reason = "metadata and the row itself give different values for the same field";
    return { ok: false, reason, path: ["metadata"] };
  }
  const parsed = rowSchema.schema.safeParse(folded);
  if (!parsed.success) {
    const hint = missingFieldsHint(kind, value);
    const reason = [describeIssues(parsed.error), ...hint === null ? [] : [hint]].join(": ");
    return { ok: false, reason, path: parsed.error.issues[0]?.path ?? [] };
  }
  const row = parsed.data;
  const problem = "timestamp" in row ? outsideWindow(row.timestamp, window) : null;
  if (problem === null) return { ok: true, row };
  return { ok: false, reason: `timestamp ${problem}`, path: ["timestamp"] };
}
