import type { z } from "../../deps.ts";
import { Fail } from "../../lib/dag/types.ts";
import { type Anomaly, bySeverity } from "../../lib/monitoring/anomaly.ts";
import type { CHECK_OUTPUT } from "../../lib/monitoring/task_outputs.ts";
import { checkBeforePublish } from "../../lib/data_checks/publish_gate.ts";
import type { StoreSnapshot } from "../../lib/data_checks/store_snapshot.ts";
import type { VectorStore } from "../../lib/stores/vectors/port.ts";
import type { StepContext } from "../step.ts";
import { findLeftCampaigns } from "./campaign_sources.ts";
import { vectorSet } from "./vector_store.ts";

export type CheckOutput = z.infer<typeof CHECK_OUTPUT>;

/**
 * Looks at the data before it is published. A critical finding fails the run, and the old version stays. Either way the
 * findings are left as the output, with those of earlier tasks of the run and a survey of the stores that the next check compares with.
 */
export async function check(
  context: StepContext,
  vectors: VectorStore,
  ofEarlierTasks: readonly Anomaly[] = [],
): Promise<CheckOutput> {
  const { documents, analytics, graph, runs, clock } = context.services;
  const { task_id, run: { dag_id, run_id, params }, signal } = context;
  const stores = { documents, analytics, vectors, graph };
  const { findings: found, survey } = await checkBeforePublish({
    stores,
    runs,
    dag_id,
    run_id,
    task_id,
    all: params["all"] === true,
    now: clock.now(),
    signal,
  });
  const left = await findLeftCampaigns(context.services, { signal });
  const findings = [...found, ...left === null ? [] : [left], ...ofEarlierTasks].sort(bySeverity);
  for (const { severity, code, text } of findings) context.log(`${severity} ${code}: ${text}`);
  context.rows({ in: 0, out: findings.length });
  recordReads(context, vectors, survey);
  const output = { findings: findings.map((one) => ({ history: [], ...one })), survey };
  const critical = findings.filter(({ severity }) => severity === "critical");
  if (critical.length === 0) return output;
  throw new Fail(`not published: ${critical.map(({ text }) => text).join("; ")}`, { output });
}

/** The tables that were compared with each other, with their row counts. */
function recordReads(context: StepContext, vectors: VectorStore, { counts }: StoreSnapshot): void {
  const { services } = context;
  const rows = (of: string) => counts[of] === undefined ? {} : { rows: counts[of] };
  context.reads({ ...services.dataset("documents", "messages"), ...rows("messages") });
  context.reads({ ...services.dataset("analytics", "campaigns"), ...rows("campaigns") });
  context.reads({ ...services.dataset("analytics", "events"), ...rows("events") });
  context.reads({ ...vectorSet(context, vectors, "profiles"), ...rows("profiles") });
  context.reads(services.dataset("graph", "edges"));
}
