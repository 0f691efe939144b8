import { batches } from "../../lib/core/batches.ts";
import type { Artifact, Campaign, EngagementEvent, WriteCounts } from "../../lib/core/types.ts";
import { FIELDS } from "../datasets.ts";
import { ErasedUsers } from "../../lib/privacy/erased_users.ts";
import { EventArms } from "../../lib/recommend/event_arms.ts";
import type { StepContext } from "../step.ts";
import { updateCampaignSources } from "./campaign_sources.ts";
import { countsText, readArtifact, rowsOf } from "./artifact_rows.ts";
import { addCounts, NO_WRITES } from "../../lib/core/write_counts.ts";
import type { IngestedSource } from "./ingest.ts";
import type { ValidateOutput } from "./validate.ts";

/** Writes the run's campaigns and engagement events to the analytics store; `sources` are those that they came from. */
export async function analytics(
  context: StepContext,
  input: ValidateOutput,
  sources: readonly IngestedSource[],
): Promise<{ campaigns: WriteCounts; events: WriteCounts }> {
  const { services: { analytics: store }, signal } = context;
  const total = input.campaigns.rows + input.events.rows;
  const write = async <Row>(
    table: "campaigns" | "events",
    upsert: (rows: Row[]) => Promise<WriteCounts>,
    before: number,
  ): Promise<WriteCounts> => {
    let counts = NO_WRITES;
    const rows = readArtifact<Row>(context.services, input[table], signal);
    await store.inBulk(async () => {
      for await (const batch of batches(rows, 500)) {
        counts = addCounts(counts, await upsert(batch));
        context.progress({ done: before + rowsOf(counts), total });
      }
    });
    record(context, table, input[table], counts);
    return counts;
  };
  const erasedUsers = new ErasedUsers(store);
  const arms = new EventArms(context.services.secret);
  const upsertEvents = async (events: readonly EngagementEvent[]) =>
    await store.upsertEvents({ events: await arms.assign(events), signal });
  const undo = (user_ids: string[]) => store.deleteUsers({ user_ids, signal });
  const campaigns = await write<Campaign>(
    "campaigns",
    (rows) => store.upsertCampaigns({ campaigns: rows, signal }),
    0,
  );
  await updateCampaignSources(context, sources);
  const events = await write<EngagementEvent>(
    "events",
    async (rows) => (await erasedUsers.write(rows, { write: upsertEvents, undo, signal })).result,
    input.campaigns.rows,
  );
  context.rows({ in: total, out: campaigns.inserted + campaigns.changed + events.inserted + events.changed });
  return { campaigns, events };
}

function record(
  context: StepContext,
  table: "campaigns" | "events",
  input: Artifact,
  counts: WriteCounts,
): void {
  context.log(countsText(table, counts));
  context.reads(context.services.artifact(input));
  context.writes({
    ...context.services.dataset("analytics", table),
    rows: counts.inserted + counts.changed,
    fields: FIELDS[table],
    quality: { ...counts },
  });
}
