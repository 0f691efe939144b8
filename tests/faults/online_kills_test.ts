import assert from "node:assert/strict";
import { digests, nightlyRun, ROOT, SAMPLE, withFlow, writeRows } from "../fixtures/flow.ts";
import { KILLS } from "../fixtures/kills.ts";
import { ReplicaProcess } from "../fixtures/replica.ts";
import { random } from "../fixtures/rows.ts";

const USERS = 12;
const ENV = { PARLEY_INTENTS: `${ROOT}sample/intents.json` };

function rowsOf(round: number) {
  const at = (n: number) => new Date(Date.UTC(2026, 5, 1, round, n)).toISOString();
  const users = Array.from({ length: USERS }, (_, n) => `user-${n}`);
  return {
    messages: users.map((user_id, n) => ({
      user_id,
      message: `round ${round}: do you have walking boots for size ${n}?`,
      timestamp: at(n),
    })),
    campaigns: [{
      campaign_id: `posted-${round}`,
      title: `Walking boots of round ${round}`,
      intents: ["boots"],
    }],
    events: users.map((user_id, n) => ({
      user_id,
      campaign_id: `posted-${round}`,
      type: n % 3 === 0 ? "conversion" : "click",
      timestamp: at(n + 20),
    })),
  };
}

Deno.test(`${KILLS} kills of an API that derives what was posted lose nothing and double nothing`, () =>
  withFlow(async (flow) => {
    assert.equal((await nightlyRun(flow, SAMPLE)).outcome, "success");
    const next = random(7);
    for (let round = 0; round < KILLS; round++) {
      const api = await ReplicaProcess.start(flow.config, ENV);
      for (const [kind, rows] of Object.entries(rowsOf(round))) {
        const { status, text } = await api.post(`/${kind}`, rows);
        assert.equal(status, 200, text);
      }
      await new Promise((resume) => setTimeout(resume, 150 * next()));
      await api.kill();
    }
    assert.equal((await nightlyRun(flow, {})).outcome, "success");
    await withFlow(async (undisturbed) => {
      const rounds = Array.from({ length: KILLS }, (_, round) => rowsOf(round));
      await nightlyRun(undisturbed, SAMPLE);
      const outcome = await nightlyRun(undisturbed, {
        messages: [writeRows(undisturbed, "m.ndjson", rounds.flatMap(({ messages }) => messages))],
        campaigns: [writeRows(undisturbed, "c.ndjson", rounds.flatMap(({ campaigns }) => campaigns))],
        events: [writeRows(undisturbed, "e.ndjson", rounds.flatMap(({ events }) => events))],
      });
      assert.equal(outcome.outcome, "success");
      assert.deepEqual(await digests(flow), await digests(undisturbed));
    }, ENV);
  }, ENV));
