import type { z } from "../../deps.ts";
import type { Kind, Rows } from "../core/types.ts";
import { campaignInput, campaignSchema } from "./campaign.ts";
import { eventInput, eventSchema } from "./event.ts";
import { reasonOf } from "./issue.ts";
import { messageInput, messageSchema } from "./message.ts";
import { foldUnknown, isObject } from "./metadata.ts";

/** Grows when the same input would give another row; recorded in lineage. */
export const SCHEMA_VERSION = "1";

export type Parsed<Row> =
  | { readonly ok: true; readonly row: Row }
  /** `reason` names fields and what is wrong with them, and never quotes the row. */
  | { readonly ok: false; readonly reason: string };

interface Noun<Row> {
  readonly schema: z.ZodType<Row>;
  readonly known: ReadonlySet<string>;
}

const NOUNS: { readonly [K in Kind]: Noun<Rows[K]> } = {
  messages: { schema: messageSchema, known: new Set(Object.keys(messageInput.shape)) },
  campaigns: { schema: campaignSchema, known: new Set(Object.keys(campaignInput.shape)) },
  events: { schema: eventSchema, known: new Set(Object.keys(eventInput.shape)) },
};

/**
 * Makes the canonical row of what came in: ids as text, times in UTC, defaults filled, unknown fields in `metadata`,
 * keys in a fixed order, so that `JSON.stringify` of equal rows is equal.
 */
export function parseRow<K extends Kind>(o: { kind: K; value: unknown }): Parsed<Rows[K]> {
  const noun: Noun<Rows[K]> = NOUNS[o.kind];
  if (!isObject(o.value)) return { ok: false, reason: "the row is not a JSON object" };
  const folded = foldUnknown(o.value, noun.known);
  if (folded === null) {
    return { ok: false, reason: "metadata and the row itself give different values for the same field" };
  }
  const parsed = noun.schema.safeParse(folded);
  return parsed.success ? { ok: true, row: parsed.data } : { ok: false, reason: reasonOf(parsed.error) };
}
