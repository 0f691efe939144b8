import { type Context, z } from "../../deps.ts";
import { tryParseJson } from "../../lib/core/json.ts";
import type { Kind } from "../../lib/core/types.ts";
import type { OnlineWriter } from "../../lib/online/online_writer.ts";
import { apiEndpoint } from "./api_endpoint.ts";
import { idsOf } from "./audit_log.ts";
import { jsonBody, readBody } from "./body.ts";
import { limiter } from "./limiter.ts";
import { HttpError } from "./problem.ts";

const MAX_ROWS = 1_000;
const MAX_BYTES = 8 * 1_048_576;
const NDJSON = "application/x-ndjson";
const RULE = `the body must be a row, a list of 1 to ${MAX_ROWS} rows, or as many lines of NDJSON`;
/** Writes at one time: they wait for the disk and the stores, not for each other. */
const LIMITS = Object.freeze({ max_running: 4, max_queued: 64, timeout_ms: 30_000, remedy: "send it again" });

/** What became of the rows of a request. */
const WRITTEN = z.lazy(() => {
  const count = z.int().min(0);
  return z.object({
    inserted: count,
    changed: count,
    same: count.describe("Rows that were stored already."),
    rejected: count.describe("Rows that are not valid. They are in the quarantine."),
    rows: z.array(z.discriminatedUnion("status", [
      z.object({ status: z.literal(["inserted", "changed", "same"]), id: z.string() }),
      z.object({
        status: z.literal("rejected"),
        reason: z.string().describe("What is wrong. It does not quote the row."),
        pointer: z.string().describe("A JSON pointer from the list of rows to what is wrong."),
      }),
    ])).describe("One for each row, in their order."),
  }).meta({ id: "Written" });
});

const DESCRIPTION =
  "Takes one row, a list of rows, or NDJSON. The rows are stored when this answers; sending them again changes nothing. " +
  "Rows that are not valid are reported, and the others are stored; if none is valid, it is an error.";

interface BatchOptions {
  readonly kind: Kind;
  readonly operation: string;
  readonly summary: string;
  readonly description: string;
  /** A row, for the document. */
  readonly row: z.ZodType;
}

/** `POST /KIND`: writes rows by the schemas of the nightly run. */
export function batchEndpoint({ kind, operation, summary, description, row }: BatchOptions) {
  const endpoint = `POST /${kind}`;
  return apiEndpoint({
    method: "POST",
    route: `/${kind}`,
    scope: "write",
    operation,
    tag: "writing",
    summary,
    description: `${description} ${DESCRIPTION}`,
    body: {
      schema: z.array(z.unknown(), RULE).min(1, RULE).max(MAX_ROWS, RULE),
      documented: {
        "application/json": z.union([row, z.array(row).min(1).max(MAX_ROWS)]),
        [NDJSON]: z.string().describe("A row per line, as in application/json."),
      },
      max_bytes: MAX_BYTES,
      types: ["application/json", NDJSON],
      read: readRows,
    },
    responses: { 200: { description: "What became of each row.", schema: WRITTEN } },
    errors: [503],
    handler: ({ writer }: { writer: OnlineWriter }) => {
      const limited = limiter(LIMITS);
      return async ({ body, context, note }) => {
        const { request_id } = note;
        const { counts, results } = await limited(
          (signal) => writer.write(kind, body, { endpoint, request_id, signal }),
          context.req.raw.signal,
        );
        const campaign_ids = idsOf(results.flatMap((row) => row.status === "rejected" ? [] : [row.id]));
        note.facts = { ...counts, ...kind === "campaigns" && { campaign_ids } };
        const [first] = results;
        if (counts.rejected === results.length && first?.status === "rejected") {
          const more = results.length === 1
            ? ""
            : `, the first of ${results.length} rows that are all rejected`;
          throw new HttpError(400, "invalid", `${first.reason} (at ${first.pointer}${more})`);
        }
        return Response.json({ ...counts, rows: results }, { headers: { "cache-control": "no-store" } });
      };
    },
  });
}

async function readRows(context: Context, max_bytes: number, type: string): Promise<unknown> {
  if (type === NDJSON) {
    const text = await readBody(context.req.raw, max_bytes);
    // A line that is not JSON is rejected alone, as no object.
    return text.split("\n").filter((line) => line.trim() !== "").map(tryParseJson);
  }
  const value = await jsonBody(context, max_bytes);
  return Array.isArray(value) ? value : [value];
}
