import assert from "node:assert/strict";
import { digests, type Flow, flowTemplate, nightlyRun, ROOT, SAMPLE, writeRows } from "../fixtures/flow.ts";
import { disturbedRun } from "../fixtures/kills.ts";
import { answersOf, itemsOf } from "../fixtures/reembed.ts";
import { random } from "../fixtures/rows.ts";

/** `deno task test:long` sets PARLEY_TEST_KILLS for more. */
const KILLS = Number(Deno.env.get("PARLEY_TEST_KILLS") ?? 1);
const SEED = 20261123;
const env = { PARLEY_INTENTS: `${ROOT}sample/intents.json` };

/** The sample among as much else, without labels. */
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
}, { PARLEY_EMBEDDINGS: "test:64" });

async function outcomeOf(flow: Flow) {
  const { documents } = flow.services;
  return {
    digests: await digests(flow),
    classifier: (await documents.classifier())?.key,
    classified: await documents.classifierCounts(),
    touched: await documents.listDirtyUsers({ after: null, limit: 10 }),
    answers: itemsOf(await answersOf(flow)),
  };
}

Deno.test(`up to ${KILLS} kills while intents are learnt again end in the same stores as none`, () =>
  withInput(async (flow) => {
    const next = random(SEED);
    const run = { dag_id: "intents", env };
    const before = await digests(flow);
    const killed = await disturbedRun(flow, { ...run, kills: KILLS, next });
    assert.ok(killed > 0, "no process lived long enough to be killed");
    await withInput(async (calm) => {
      await disturbedRun(calm, { ...run, kills: 0, next });
      const expected = await outcomeOf(calm);
      assert.notDeepEqual(expected.digests, before, "the catalogue changes nothing, so nothing is tested");
      assert.deepEqual(await outcomeOf(flow), expected);
    });
  }));
