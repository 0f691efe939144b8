import { z } from "../../deps.ts";
import type { AuditStore } from "../../lib/stores/runs/port.ts";
import { apiEndpoint } from "../http/api_endpoint.ts";
import { cursorParameter, NEXT, pageOf, partsOf } from "../http/cursor.ts";
import { queryOf, wholeNumber } from "../http/parameters.ts";

/** `AuditEntry` of lib/stores/runs/port.ts. */
const ENTRY = z.lazy(() =>
  z.object({
    at: z.iso.datetime(),
    request_id: z.string().describe("The `X-Request-Id` of the request, which the log has too."),
    by: z.string().describe(
      "`key` or `session` with the short fingerprint of the key, or `open` on a service without keys.",
    ),
    method: z.string(),
    route: z.string().describe("The route's pattern."),
    status: z.int().describe("The status of the answer."),
    user_hash: z.string().nullable().describe("The keyed hash of the user in the path; null without one."),
    facts: z.record(
      z.string(),
      z.union([z.string(), z.number(), z.boolean(), z.null(), z.array(z.string())]),
    ).describe("Counts of rows, and ids of campaigns, runs, dags and anomalies."),
  }).meta({ id: "AuditEntry" })
);

export const audit = apiEndpoint({
  method: "GET",
  route: "/audit",
  scope: "admin",
  operation: "listAuditEntries",
  tag: "service",
  summary: "Who wrote or administered what, newest first",
  description:
    "Requests that need the scope `write` or `admin`, and forms of pages, as they were answered. An entry has no id of a user " +
    "and no text, and is removed after `PARLEY_RETENTION_DAYS`.",
  query: queryOf({
    limit: wholeNumber("limit", {
      min: 1,
      max: 1_000,
      default: 100,
      description: "At most so many entries.",
    }),
    cursor: cursorParameter,
  }),
  responses: {
    200: {
      description: "A page of entries.",
      schema: z.lazy(() =>
        z.object({
          entries: z.array(ENTRY),
          next: NEXT,
        }).meta({ id: "AuditPage" })
      ),
    },
  },
  errors: [503],
  handler:
    ({ stores: { runs } }: { stores: { runs: Pick<AuditStore, "auditEntries"> } }) =>
    async ({ query: { limit, cursor } }) => {
      const before = cursor === undefined ? {} : { before: seqOf(cursor) };
      const found = await runs.auditEntries({ ...before, limit: limit + 1 });
      const { page, next } = pageOf(found, limit, ({ seq }) => [`${seq}`]);
      const entries = page.map(({ seq: _, ...entry }) => entry);
      return Response.json({ entries, next }, { headers: { "cache-control": "no-store" } });
    },
});

/** The number of an entry. Any other text in a cursor is a number before all entries. */
function seqOf(cursor: string): number {
  const seq = Number(partsOf(cursor, 1)[0]);
  return Number.isSafeInteger(seq) ? seq : 0;
}
