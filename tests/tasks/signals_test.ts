import assert from "node:assert/strict";
import type { Abortable } from "../../lib/core/types.ts";
import { type Flow, nightlyRun, ROOT, runDag, SAMPLE, withFlow, writeRows } from "../fixtures/flow.ts";
import { told } from "../fixtures/told.ts";

/** Runs, by a flow that is watched and the same unwatched, whose steps come by all that they ask of a store. */
const RUNS = {
  "nightly over the sample and a bad row": (flow: Flow) =>
    nightlyRun(flow, { ...SAMPLE, messages: [...SAMPLE.messages, writeRows(flow, "bad.ndjson", [{}])] }),
  "intents, on a graph that lacks a campaign": async (flow: Flow, { services }: Flow) => {
    const [campaign] = await services.analytics.campaignPage({ after: null, limit: 1 });
    await services.graph.deleteCampaigns({ campaign_ids: [campaign!.campaign_id] });
    return await runDag(flow, "intents", {});
  },
  "nightly with nothing new": (flow: Flow) => nightlyRun(flow, SAMPLE),
  "reembed, and the old vectors dropped": (flow: Flow) =>
    runDag(flow, "reembed", { model: "test:128", drop_old: true }),
};

/** What not every one of the runs asks. */
const ASKED = [
  "documents.quarantine",
  "documents.pruneQuarantine",
  "analytics.campaignPage",
  "vectors.search",
  "vectors.drop",
];

Deno.test("every call of a step to a store has the task's signal, so that none outlives its task", () =>
  withFlow(async (flow) => {
    const asked = new Set<string>(), without = new Set<string>();
    const { documents, analytics, vectors, graph } = flow.services;
    const watched = told({ documents, analytics, vectors, graph }, (store, method, [o]) => {
      asked.add(`${store}.${method}`);
      // It calls what it is given, whose calls have the signal.
      if (method === "inBulk") return true;
      if (!((o as Abortable | undefined)?.signal instanceof AbortSignal)) without.add(`${store}.${method}`);
      return true;
    });
    for (const [title, run] of Object.entries(RUNS)) {
      const { outcome, snapshot } = await run({ ...flow, services: { ...flow.services, ...watched } }, flow);
      assert.equal(outcome, "success", `${title}: ${snapshot.run.error}`);
    }
    assert.deepEqual([...without], []);
    for (const method of ASKED) assert.ok(asked.has(method), method);
  }, { PARLEY_INTENTS: `${ROOT}sample/intents.json` }));
