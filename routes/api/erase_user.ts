import { z } from "../../deps.ts";
import type { Clock } from "../../lib/core/clock.ts";
import type { Dag } from "../../lib/dag/define.ts";
import { queueOnce } from "../../lib/dag/runs.ts";
import { eraseUsers } from "../../lib/privacy/erase_users.ts";
import type { ErasingStores } from "../../lib/privacy/stores.ts";
import type { RunStore } from "../../lib/stores/runs/port.ts";
import { apiEndpoint } from "../http/api_endpoint.ts";
import { idParameter } from "../http/parameters.ts";

const COUNT = z.int().min(0);

/** `ErasedRows` of lib/privacy/erase_users.ts. */
const ERASED = z.lazy(() =>
  z.object({
    erased: z.object({ messages: COUNT, quarantined: COUNT, events: COUNT, vectors: COUNT, edges: COUNT })
      .describe("Rows that were removed, by store."),
    run_id: z.string().nullable().describe(
      "The run that removes the remaining copies; null if none could be queued: `deno task user erase` then completes the erasure.",
    ),
  }).meta({ id: "Erasure" })
);

export interface EraseUserOptions {
  readonly stores: ErasingStores & { readonly runs: RunStore };
  readonly clock: Clock;
  /** The dag that completes erasures. */
  readonly erase?: Dag<never> | undefined;
}

/** `DELETE /users/:user_id`. Repeating it is safe, also for a user of whom nothing is stored. */
export const eraseUser = apiEndpoint({
  method: "DELETE",
  route: "/users/:user_id",
  scope: "admin",
  operation: "eraseUser",
  tag: "users",
  summary: "Erase a user",
  description:
    "When it answers, no query, page or answer shows anything of the user, and later rows of the user are refused. " +
    "A run then removes the copies in artifacts, records of runs, indexes and free pages. 503 if a store does not respond: what " +
    "could be removed is removed, and repeating the request, or the run, completes it.",
  params: z.object({ user_id: idParameter("user_id", "The user, who may be unknown.") }),
  responses: { 202: { description: "The user is erased; a run removes the copies.", schema: ERASED } },
  errors: [503],
  handler: ({ stores, clock, erase }: EraseUserOptions) => async ({ params: { user_id }, note, report }) => {
    const log = (line: string) => report(new Error(line));
    // Not aborted with the request: what has begun is completed.
    const erased = await eraseUsers({ stores, clock, user_ids: [user_id], log });
    const run_id = erase === undefined
      ? null
      : await queueOnce({ dag: erase, runs: stores.runs, clock }).catch((error) => {
        report(error);
        return null;
      });
    note.facts = { ...erased, run_id };
    return Response.json({ erased, run_id }, { status: 202, headers: { "cache-control": "no-store" } });
  },
});
