import { z } from "../../deps.ts";
import { ParleyError } from "../../lib/core/errors.ts";
import { readUser, type UserRecord } from "../../lib/privacy/read_user.ts";
import type { AllStores } from "../../lib/privacy/stores.ts";
import { apiEndpoint } from "../http/api_endpoint.ts";
import type { ReportError } from "../http/endpoint.ts";
import { idParameter } from "../http/parameters.ts";

const RECORD = z.lazy(() =>
  z.object({
    store: z.enum(["documents", "analytics", "vectors", "graph", "artifacts", "exports", "runs"]),
    kind: z.string().describe("What the row is, such as `message`, `event` or `profiles`."),
    row: z.unknown().describe("The row as it is stored; a vector is given without its numbers."),
  }).meta({
    id: "UserRecord",
    description: "Something that is stored about a user: one line of the response.",
  })
);

const LINE = z.lazy(() =>
  z.union([RECORD, z.object({ end: z.int().min(0).describe("How many lines came before.") })])
    .meta({ id: "UserLine" })
);

type UserFiles = Pick<AllStores, "artifacts" | "exports">;

export interface ReadUserOptions {
  readonly stores: Omit<AllStores, keyof UserFiles>;
  /** Opens artifacts and exports at a request: they are files, which a process over servers alone may not read. */
  readonly files?: (() => Promise<UserFiles>) | undefined;
}

/** `GET /users/:user_id`, as NDJSON. The last line has the number of the others, so that a response that was cut off is noticed. */
export const readUserData = apiEndpoint({
  method: "GET",
  route: "/users/:user_id",
  scope: "admin",
  operation: "readUser",
  tag: "users",
  summary: "Everything that is stored about a user",
  description:
    'One JSON object per line, each with the store that has it. The last line is `{"end": n}` with the number of ' +
    "lines before it; without it the response is incomplete. Refused rows, artifacts and records of runs are searched for the id.",
  params: z.object({ user_id: idParameter("user_id", "The user.") }),
  responses: {
    200: { description: "The records, one per line.", schema: LINE, type: "application/x-ndjson" },
  },
  errors: [503],
  handler: ({ stores, files }: ReadUserOptions) => async ({ params: { user_id }, context, report }) => {
    const { signal } = context.req.raw;
    if (files === undefined) {
      throw new ParleyError("unavailable", "this process has no files of runs to read");
    }
    const records = readUser({ stores: { ...stores, ...await files() }, user_id, signal });
    // An error before the first record is a problem with its status.
    const first = await records.next();
    const headers = { "content-type": "application/x-ndjson", "cache-control": "no-store" };
    return new Response(linesOf(first, records, report), { headers });
  },
});

/** Reads on only as the client does. */
function linesOf(
  first: IteratorResult<UserRecord>,
  records: AsyncGenerator<UserRecord>,
  report: ReportError,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let [next, lines]: [IteratorResult<UserRecord>, number] = [first, 0];
  return new ReadableStream({
    async pull(controller) {
      try {
        if (next.done) {
          controller.enqueue(encoder.encode(JSON.stringify({ end: lines }) + "\n"));
          return controller.close();
        }
        controller.enqueue(encoder.encode(JSON.stringify(next.value) + "\n"));
        lines++;
        next = await records.next();
      } catch (error) {
        report(error);
        controller.error(error);
      }
    },
    async cancel() {
      await records.return(undefined);
    },
  });
}
