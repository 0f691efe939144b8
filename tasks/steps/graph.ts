import { batches, paged } from "../../lib/core/batches.ts";
import { compareText, counted } from "../../lib/core/text.ts";
import type { Artifact, Campaign, DirtyUser } from "../../lib/core/types.ts";
import type { DirtyUserStore } from "../../lib/stores/documents/port.ts";
import { FIELDS } from "../datasets.ts";
import type { Services } from "../services.ts";
import type { StepContext } from "../step.ts";
import { markDirtyForSettings } from "./derivation.ts";
import { readArtifact } from "./artifact_rows.ts";

/** A line of the list of dirty users. */
export interface DirtyUserId {
  readonly user_id: string;
}

export type GraphOutput = { readonly touched: Artifact; readonly edges: number };

/**
 * Sets the targets of the run's campaigns, where it brought any, and lists every user that any write marked since they were last
 * derived, in this run or not: `conversations` derives them.
 */
export async function graph(
  context: StepContext,
  { campaigns }: { campaigns: Artifact | null },
): Promise<GraphOutput> {
  const { services, run, task_id, signal } = context;
  await markDirtyForSettings(services, context);
  const touched = await services.artifacts.writeLines({
    name: `${run.run_id}/${task_id}/touched.ndjson`,
    lines: dirtyLines(services, signal),
    signal,
  });
  let edges = campaigns === null
    ? 0
    : await setTargets(context, readArtifact<Campaign>(services, campaigns, signal));
  if (await lacksCampaigns(services, signal)) {
    edges = await setTargets(context, storedCampaigns(services, signal));
  }
  context.log(`${counted(touched.rows, "user")} to derive, ${counted(edges, "edge")} of campaigns set`);
  context.rows({ in: campaigns?.rows ?? 0, out: edges });
  if (campaigns !== null) context.reads(services.artifact(campaigns));
  context.writes({ ...services.dataset("graph", "edges"), rows: edges, fields: FIELDS.edges });
  context.writes(services.artifact(touched));
  return { touched, edges };
}

/** Whether campaigns are stored that no run has brought to this graph: it was exchanged for an empty one. */
async function lacksCampaigns({ analytics, graph }: Services, signal: AbortSignal): Promise<boolean> {
  const [stored, known] = [await analytics.counts({ signal }), await graph.counts({ signal })];
  return known.campaigns < stored.campaigns;
}

function storedCampaigns({ analytics }: Services, signal: AbortSignal): AsyncGenerator<Campaign> {
  return paged(
    500,
    ({ campaign_id }) => campaign_id,
    (after, limit) => analytics.campaignPage({ after, limit, signal }),
  );
}

async function setTargets(
  { services, signal }: StepContext,
  campaigns: AsyncIterable<Campaign>,
): Promise<number> {
  let edges = 0;
  for await (const batch of batches(campaigns, 500)) {
    edges += await services.graph.setTargets({ campaigns: batch, signal });
  }
  return edges;
}

/** Merges the dirty users of both base stores, which each lists in ascending id. */
async function* dirtyLines(
  { documents, analytics }: Services,
  signal: AbortSignal,
): AsyncGenerator<string> {
  const list = (store: DirtyUserStore) =>
    paged<DirtyUser>(
      1_000,
      ({ user_id }) => user_id,
      (after, limit) => store.listDirtyUsers({ after, limit, signal }),
    );
  const [left, right] = [list(documents), list(analytics)];
  let [a, b] = [await left.next(), await right.next()];
  while (!a.done || !b.done) {
    const leftFirst = b.done || (!a.done && compareText(a.value.user_id, b.value.user_id) <= 0);
    const { user_id } = leftFirst ? a.value! : b.value!;
    yield JSON.stringify({ user_id } satisfies DirtyUserId);
    if (a.value?.user_id === user_id) a = await left.next();
    if (b.value?.user_id === user_id) b = await right.next();
  }
}
