import assert from "node:assert/strict";
import { nightlyRun, SAMPLE, withFlow } from "../fixtures/flow.ts";
import { disturbedRun } from "../fixtures/kills.ts";
import {
  answersOf,
  itemsOf,
  modelsOf,
  QUESTIONS,
  reembedRun,
  unmixed,
  vectorDigest,
  whileAsking,
} from "../fixtures/reembed.ts";
import { random } from "../fixtures/rows.ts";
import { freshServers, missingServers } from "../fixtures/servers.ts";

const SETTINGS = ["PARLEY_VECTORS"] as const;
const missing = missingServers(SETTINGS);
const [SMALL, LARGE] = ["test:64", "test:128"];
/** Kills each way. */
const KILLS = 2;
const FEW = QUESTIONS.slice(0, 8);

Deno.test({
  name: `the model is changed on Milvus and changed back, with kills, as on the embedded store${
    missing.length > 0 ? `: ${missing.join(", ")} not set` : ""
  }`,
  ignore: missing.length > 0,
  async fn() {
    const { env, drop } = freshServers(SETTINGS);
    const next = random(7);
    try {
      await withFlow(async (flow) => {
        assert.equal((await nightlyRun(flow, SAMPLE)).outcome, "success");
        const before = await answersOf(flow, FEW);
        const disturbed = (model: string) =>
          disturbedRun(flow, { dag_id: "reembed", params: [`model=${model}`], kills: KILLS, next, env });
        const during = await whileAsking(flow, () => disturbed(LARGE), FEW);
        const there = await answersOf(flow, FEW);
        unmixed(during, { 1: before, 2: there });
        const goingBack = await whileAsking(flow, () => disturbed(SMALL), FEW);
        const back = await answersOf(flow, FEW);
        unmixed(goingBack, { 2: there, 3: back });
        assert.deepEqual(itemsOf(back), itemsOf(before));
        await withFlow(async (embedded) => {
          await nightlyRun(embedded, SAMPLE);
          await reembedRun(embedded, LARGE);
          for (const model of [SMALL, LARGE]) {
            assert.equal(await vectorDigest(flow, model), await vectorDigest(embedded, model), model);
          }
          assert.deepEqual(itemsOf(await answersOf(embedded, FEW)), itemsOf(there));
        });
        await reembedRun(flow, SMALL, true);
        assert.equal((await modelsOf(flow)).length, 1);
        assert.deepEqual(itemsOf(await answersOf(flow, FEW)), itemsOf(before));
      }, env);
    } finally {
      await drop();
    }
  },
});
