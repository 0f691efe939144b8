/** Rows that are gone from a table while all sources are unchanged: the next run brings back what is derived from others. */
import assert from "node:assert/strict";
import { builtInDags } from "../commands/engine.ts";
import { DatabaseSync } from "../deps.ts";
import { systemClock } from "../lib/core/clock.ts";
import { loadConfig } from "../lib/config.ts";
import { detectAnomalies } from "../lib/monitoring/anomalies.ts";
import {
  type Flow,
  flowTemplate,
  loadSample,
  nightlyRun,
  ROOT,
  SAMPLE,
  withFlow,
  withStores,
} from "./fixtures/flow.ts";

const withSample = flowTemplate(loadSample);

/** What answers are made of, whichever version it is. */
async function derived({ services: { analytics, graph } }: Flow): Promise<unknown> {
  const { version } = (await analytics.published())!;
  const words = await analytics.conversationWords({ after: null, limit: 9 });
  return {
    graph: await graph.digest(),
    popular: await analytics.popular({ version, limit: 9 }),
    words,
    said: await analytics.profileWords({ user_id: "keziah-boateng" }),
  };
}

for (
  const [what, file, sql] of [
    ["what users want", "graph.db", "DELETE FROM expressed"],
    ["popularity", "analytics.db", "DELETE FROM stats"],
    ["words", "analytics.db", "DELETE FROM profile_words; DELETE FROM conversation_words"],
    ["what is published", "analytics.db", "DELETE FROM published"],
  ] as const
) {
  Deno.test(`a run brings back ${what}, if that is gone and all sources are unchanged, once`, () =>
    withSample(async (flow) => {
      const before = await derived(flow);
      {
        using database = new DatabaseSync(`${flow.config.data}/${file}`);
        database.exec(sql);
      }
      assert.equal((await nightlyRun(flow, SAMPLE)).snapshot.tasks.at(-1)?.state, "success");
      assert.deepEqual(await derived(flow), before);
      assert.equal((await nightlyRun(flow, SAMPLE)).snapshot.tasks[0]?.state, "skipped");
    }));
}

Deno.test("intents of a catalogue that is set no more are a warning, until it is set again", () =>
  withFlow(async (flow) => {
    const paths = {
      messages: [`${flow.input}/messages.ndjson`],
      campaigns: [`${flow.input}/campaigns.ndjson`],
    };
    for (const [kind, [path]] of Object.entries(paths)) {
      await Deno.copyFile(`${ROOT}sample/${kind}.ndjson`, path!);
    }
    const night = (env: Record<string, string>) =>
      withStores(
        loadConfig({
          PARLEY_EMBEDDINGS: "test:64",
          PARLEY_SCHEDULE: "off",
          ...env,
          PARLEY_DATA: flow.config.data,
        }),
        async (now) => {
          const { snapshot } = await nightlyRun(now, paths);
          const dags = [...builtInDags(now.config).values()];
          const { analytics } = now.services;
          const { open } = await detectAnomalies({ runs: now.runs, analytics, dags, clock: systemClock });
          return [snapshot.tasks[0]?.state, open.filter(({ code }) => code === "intents_unset").length];
        },
      );
    const set = { PARLEY_INTENTS: `${ROOT}sample/intents.json` };
    assert.deepEqual(await night(set), ["success", 0]);
    assert.deepEqual(await night({}), ["skipped", 1]);
    assert.deepEqual(await night({}), ["skipped", 1]);
    assert.deepEqual(await night(set), ["skipped", 0]);
  }));
