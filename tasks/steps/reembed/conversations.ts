import { modelKey } from "../../../lib/core/types.ts";
import type { VectorStore } from "../../../lib/stores/vectors/port.ts";
import type { StepContext } from "../../step.ts";
import { addDerived, type DerivedCounts, NOTHING_DERIVED } from "../../../lib/derive/derive_users.ts";
import { deriveInBulk, deriveOptions, reportDerived } from "../conversations.ts";
import { refuseOtherModel } from "../vector_store.ts";
import { speakers } from "./corpus.ts";
import type { ReembedParams } from "./estimate.ts";

/** Embeds the conversations and profiles of all users by the new model. What an earlier attempt embedded has its vector already. */
export async function deriveConversations(
  context: StepContext,
  store: VectorStore,
): Promise<DerivedCounts> {
  const { services, signal, run } = context;
  const embedder = await services.embedder((run.params as ReembedParams).model, context.log);
  refuseOtherModel(embedder.model, store.model);
  context.version("model", modelKey(store.model));
  const writer = { embedder, store };
  // Edges and words are the same by any model.
  const options = { ...await deriveOptions(context, writer), vectors_only: true };
  const { users: total } = await services.documents.counts({ signal });
  let done = NOTHING_DERIVED;
  const commits = deriveInBulk(services, options, speakers(context), (derived) => {
    context.progress({ done: done.users + derived, total });
  });
  for await (const { counts } of commits) done = addDerived(done, counts);
  reportDerived(context, writer, done);
  return done;
}
