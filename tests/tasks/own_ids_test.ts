/** Dags and tasks of other ids than Parley's: steps work in them, and monitoring watches them. */
import assert from "node:assert/strict";
import { z } from "../../deps.ts";
import { systemClock } from "../../lib/core/clock.ts";
import { parseModelKey } from "../../lib/core/types.ts";
import { defineDag, type TaskDefinition } from "../../lib/dag/define.ts";
import { detectAnomalies } from "../../lib/monitoring/anomalies.ts";
import type { Services } from "../../tasks/services.ts";
import { step, type StepContext } from "../../tasks/step.ts";
import { check } from "../../tasks/steps/check.ts";
import { classify, train, type TrainOutput } from "../../tasks/steps/classify.ts";
import { conversations } from "../../tasks/steps/conversations.ts";
import { derive, type DeriveOutput } from "../../tasks/steps/derive.ts";
import { graph, type GraphOutput } from "../../tasks/steps/graph.ts";
import { ingest } from "../../tasks/steps/ingest.ts";
import { publish } from "../../tasks/steps/publish.ts";
import { openStore } from "../../tasks/steps/vector_store.ts";
import { digests, nightlyRun, ROOT, runDag, SAMPLE, withFlow } from "../fixtures/flow.ts";

const trained = (context: StepContext) => openStore(context, context.output<TrainOutput>("fit").model);
const users = (context: StepContext) => context.output<GraphOutput>("link").touched;
const version = (context: StepContext) => context.output<DeriveOutput>("build").version;

/** `tasks/intents.ts` in other words. */
const RELABEL = defineDag<Services>({
  id: "relabel",
  group: "versions",
  tasks: [
    { id: "fit", ...step(train) },
    { id: "label", needs: ["fit"], ...step(classify, trained, () => []) },
    { id: "link", needs: ["label"], ...step(graph, () => ({ campaigns: null })) },
    { id: "talk", needs: ["link"], ...step(conversations, trained, users) },
    { id: "build", needs: ["talk"], ...step(derive, trained, () => ({ readsSources: false })) },
    { id: "gate", needs: ["build"], ...step(check, trained) },
    { id: "flip", needs: ["gate"], ...step(publish, trained, version, () => []) },
  ],
});

Deno.test("a copy of the dag intents under other ids leaves in the stores what intents leaves", () =>
  withFlow(async (flow) => {
    assert.equal((await nightlyRun(flow, SAMPLE)).outcome, "success");
    assert.equal((await runDag(flow, "intents", {})).outcome, "success");
    const before = await digests(flow);
    const { documents, analytics } = flow.services;
    const [message] = await documents.page({ after: null, limit: 1 });
    await documents.upsert({ messages: [{ ...message!, message: "where is my parcel" }] });
    await documents.upsert({ messages: [message!] });
    const { outcome, snapshot } = await runDag(flow, "relabel", {}, { dag: RELABEL });
    assert.equal(outcome, "success", String(snapshot.run.error));
    assert.deepEqual(await digests(flow), before);
    assert.equal((await analytics.published())?.run_id, snapshot.run.run_id);
  }, { PARLEY_INTENTS: `${ROOT}sample/intents.json` }));

const published = async (context: StepContext) => {
  const { services: { analytics, vectors }, signal } = context;
  return await vectors.forModel({
    model: parseModelKey((await analytics.published({ signal }))!.model),
    signal,
  });
};

/** A dag that reads sources and checks the stores; `roles` says whether its tasks have their roles. */
function feeds({ roles }: { roles: boolean }) {
  const as = (role: string) => roles ? { role } : {};
  const tasks: TaskDefinition<Services>[] = [
    { id: "fetch", ...as("ingest"), run: (context) => ingest(context, { check: "look" }) },
    { id: "look", ...as("check"), needs: ["fetch"], ...step(check, published) },
  ];
  return defineDag<Services>({
    id: "feeds",
    params: z.object({ messages: z.array(z.string()).default([]) }),
    tasks,
  });
}

Deno.test("monitoring watches the tasks of a dag by their roles, whatever the ids", () =>
  withFlow(async (flow) => {
    assert.equal((await nightlyRun(flow, SAMPLE)).outcome, "success");
    const { runs, services: { analytics, graph } } = flow;
    const [campaign] = await analytics.campaignPage({ after: null, limit: 1 });
    await graph.deleteCampaigns({ campaign_ids: [campaign!.campaign_id] });
    const fresh = `${flow.input}/fresh.ndjson`;
    await Deno.copyFile(SAMPLE.messages[0]!, fresh);
    const dag = feeds({ roles: true });
    const params = { messages: [fresh, `${flow.input}/none.ndjson`] };
    const { outcome, snapshot } = await runDag(flow, "feeds", params, { dag });
    assert.equal(outcome, "success", String(snapshot.run.error));
    const codes = async (dag: ReturnType<typeof feeds>) => {
      const { open } = await detectAnomalies({ runs, analytics, dags: [dag], clock: systemClock });
      // The events of the sample are old.
      return open.map(({ code }) => code).filter((code) => code !== "engagement_silent").sort();
    };
    assert.deepEqual(await codes(dag), ["campaigns_not_in_graph", "source_unreadable"]);
    assert.deepEqual(await codes(feeds({ roles: false })), []);
  }));
