import { batches, paged } from "../../../lib/core/batch.ts";
import type { Message } from "../../../lib/core/types.ts";
import type { TaskContext } from "../../../lib/dag/types.ts";
import { FIELDS } from "../../datasets.ts";
import type { Services } from "../../services.ts";
import { buildVersion, type DeriveOutput, deriveProfiles } from "../derive.ts";
import { vectorSet } from "../store.ts";
import type { EstimateOutput } from "./estimate.ts";

/** Derives the profile of every user from the new vectors, then builds a data version on them beside what serves. */
export async function deriveAll(context: TaskContext<Services>): Promise<DeriveOutput> {
  const { services, signal } = context;
  const { model } = context.output<EstimateOutput>("estimate");
  const store = await services.vectors.of({ model, signal });
  const { users: total } = await services.documents.counts({ signal });
  let done = 0, profiles = 0;
  for await (const users of batches(speakers(context), 100)) {
    profiles += await deriveProfiles(context, store, users);
    context.progress({ done: done += users.length, total });
  }
  const { version, campaigns, indexed } = await buildVersion(services, store, context);
  context.log(`${profiles} profiles changed; data version ${version} built, with ${indexed} vectors indexed`);
  context.rows({ in: done, out: profiles });
  context.reads(vectorSet(context, store, "messages"));
  context.reads(services.dataset("analytics", "events"));
  const table = vectorSet(context, store, "profiles");
  context.writes({ ...table, rows: profiles, fields: FIELDS.vectors });
  context.writes({ ...vectorSet(context, store, "indexes"), rows: indexed, version: String(version) });
  context.writes({
    ...services.dataset("analytics", "campaign_stats"),
    rows: campaigns,
    version: String(version),
    fields: FIELDS.stats,
  });
  return { version, profiles };
}

/** Everybody who said something, once, in the order of their first message's id. */
export async function* speakers({ services, signal }: TaskContext<Services>): AsyncGenerator<string> {
  const { documents, artifacts } = services;
  const register = await artifacts.register();
  const page = (after: string | null, limit: number) => documents.page({ after, limit, signal });
  try {
    for await (const { user_id, role } of paged<Message>(500, ({ message_id }) => message_id, page)) {
      signal.throwIfAborted();
      if (role === "user" && register.claim(user_id, "") === null) yield user_id;
    }
  } finally {
    register.close();
  }
}
