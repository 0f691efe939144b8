import { batches } from "../../lib/core/batches.ts";
import type { Message, WriteCounts } from "../../lib/core/types.ts";
import { FIELDS } from "../datasets.ts";
import { ErasedUsers } from "../../lib/privacy/erased_users.ts";
import type { StepContext } from "../step.ts";
import { countsText, readArtifact, rowsOf } from "./artifact_rows.ts";
import { addCounts, NO_WRITES } from "../../lib/core/write_counts.ts";
import type { ValidateOutput } from "./validate.ts";

/** Writes the run's messages to the documents store. */
export async function documents(
  context: StepContext,
  { messages }: ValidateOutput,
): Promise<{ messages: WriteCounts }> {
  const { services, signal } = context;
  const erasedUsers = new ErasedUsers(services.analytics);
  const write = async (messages: readonly Message[]) => {
    const upsert = (messages: readonly Message[]) => services.documents.upsert({ messages, signal });
    const undo = (user_ids: string[]) => services.documents.deleteUsers({ user_ids, signal });
    return (await erasedUsers.write(messages, { write: upsert, undo, signal })).result;
  };
  let counts = NO_WRITES;
  await services.documents.inBulk(async () => {
    for await (const batch of batches(readArtifact<Message>(services, messages, signal), 500)) {
      counts = addCounts(counts, await write(batch));
      context.progress({ done: rowsOf(counts), total: messages.rows });
    }
  });
  context.log(countsText("messages", counts));
  const written = counts.inserted + counts.changed;
  context.rows({ in: messages.rows, out: written });
  context.reads(services.artifact(messages));
  context.writes({
    ...services.dataset("documents", "messages"),
    rows: written,
    fields: FIELDS.messages,
    quality: { ...counts },
  });
  return { messages: counts };
}
