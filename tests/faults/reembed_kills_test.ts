import assert from "node:assert/strict";
import { type Flow, flowTemplate, nightlyRun, SAMPLE, writeRows } from "../fixtures/flow.ts";
import { disturbedRun } from "../fixtures/kills.ts";
import { answersOf, itemsOf, reembedRun, unmixed, vectorDigest, whileAsking } from "../fixtures/reembed.ts";
import { random } from "../fixtures/rows.ts";

/** Kills each way. `deno task test:long` sets PARLEY_TEST_KILLS for more. */
const KILLS = Number(Deno.env.get("PARLEY_TEST_KILLS") ?? 1);
const SEED = 20261122;
const [SMALL, LARGE] = ["test:64", "test:128"];

/** The sample among as much else. */
function inputOf(flow: Flow) {
  const messages = Array.from({ length: 400 }, (_, n) => ({
    message_id: `m-${n}`,
    user_id: `u-${n % 97}`,
    message: `thing ${n} of ${n % 31} kinds, which no other user has, for the ${n % 7}. day of the week`,
    timestamp: new Date(Date.UTC(2026, 0, 1, 0, 0, n)).toISOString(),
  }));
  return { ...SAMPLE, messages: [...SAMPLE.messages, writeRows(flow, "more.ndjson", messages)] };
}

const withInput = flowTemplate(async (flow) => {
  assert.equal((await nightlyRun(flow, inputOf(flow))).outcome, "success");
}, { PARLEY_EMBEDDINGS: SMALL });

Deno.test(`up to ${2 * KILLS} kills while the model is changed and changed back end in the same stores as none`, () =>
  withInput(async (flow) => {
    const next = random(SEED);
    const before = await answersOf(flow);
    let killed = 0;
    const disturbed = async (model: string) => {
      killed += await disturbedRun(flow, {
        dag_id: "reembed",
        params: [`model=${model}`],
        kills: KILLS,
        next,
      });
    };
    const during = await whileAsking(flow, () => disturbed(LARGE));
    const there = await answersOf(flow);
    unmixed(during, { 1: before, 2: there });
    assert.notDeepEqual(itemsOf(there), itemsOf(before));
    const goingBack = await whileAsking(flow, () => disturbed(SMALL));
    const back = await answersOf(flow);
    unmixed(goingBack, { 2: there, 3: back });
    assert.deepEqual(itemsOf(back), itemsOf(before));
    assert.ok(killed > 0, "no process lived long enough to be killed");
    for (const { run_id } of await flow.runs.runs({ limit: 100 })) {
      const snapshot = await flow.runs.snapshot({ run_id });
      assert.deepEqual(snapshot?.attempts.filter(({ state }) => state === "running"), [], run_id);
    }
    await withInput(async (calm) => {
      await reembedRun(calm, LARGE);
      for (const model of [SMALL, LARGE]) {
        assert.equal(await vectorDigest(flow, model), await vectorDigest(calm, model), model);
      }
      assert.deepEqual(itemsOf(await answersOf(calm)), itemsOf(there));
    });
  }));
