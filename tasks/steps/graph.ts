import { batches, paged } from "../../lib/core/batches.ts";
import { compareText } from "../../lib/core/text.ts";
import type { Artifact, Campaign, DirtyUser } from "../../lib/core/types.ts";
import type { DirtyUserStore } from "../../lib/stores/documents/port.ts";
import { FIELDS } from "../datasets.ts";
import type { Services } from "../services.ts";
import type { StepContext } from "../step.ts";
import { markDirtyForSettings } from "./derivation.ts";
import { readArtifact } from "./artifact_rows.ts";

/** A user with new base rows, and the touches that are settled once everything is derived from them. */
export interface TouchedGraphUser {
  readonly user_id: string;
  readonly documents: string | null;
  readonly analytics: string | null;
}

export type GraphOutput = { readonly touched: Artifact; readonly edges: number };

/**
 * Sets the edges of every user that any write touched since they were last derived from, in this run or not, and the
 * targets of the run's campaigns, where it brought any. Leaves the list of those users for `conversations`.
 */
export async function graph(
  context: StepContext,
  { campaigns }: { campaigns: Artifact | null },
): Promise<GraphOutput> {
  const { services, run, task_id, signal } = context;
  await markDirtyForSettings(services, context);
  const name = `${run.run_id}/${task_id}/touched.ndjson`;
  const touched = await services.artifacts.writeLines({
    name,
    lines: touchedLines(services, signal),
    signal,
  });
  let edges = campaigns === null
    ? 0
    : await setTargets(context, readArtifact<Campaign>(services, campaigns, signal));
  if (await lacksCampaigns(services, signal)) {
    edges = await setTargets(context, storedCampaigns(services, signal));
  }
  let done = campaigns?.rows ?? 0;
  const total = done + touched.rows;
  for await (const users of batches(readArtifact<TouchedGraphUser>(services, touched, signal), 200)) {
    const user_ids = users.map(({ user_id }) => user_id);
    const expressed = await services.documents.intentCounts({ user_ids, signal });
    const engaged = await services.analytics.engagement({ user_ids, signal });
    edges += await services.graph.setExpressed({ user_ids, edges: expressed, signal });
    edges += await services.graph.setEngaged({ user_ids, edges: engaged, signal });
    context.progress({ done: done += users.length, total });
  }
  context.log(`${touched.rows} users touched, ${edges} edges set`);
  context.rows({ in: total, out: edges });
  if (campaigns !== null) context.reads(services.artifact(campaigns));
  context.reads(services.dataset("documents", "messages"));
  context.reads(services.dataset("analytics", "events"));
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
async function* touchedLines(
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
    const user_id = leftFirst ? a.value!.user_id : b.value!.user_id;
    const inA = !a.done && a.value.user_id === user_id ? a.value.token : null;
    const inB = !b.done && b.value.user_id === user_id ? b.value.token : null;
    yield JSON.stringify({ user_id, documents: inA, analytics: inB } satisfies TouchedGraphUser);
    if (inA !== null) a = await left.next();
    if (inB !== null) b = await right.next();
  }
}
