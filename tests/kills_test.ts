import assert from "node:assert/strict";
import { digests, type Flow, nightlyRun, withFlow, writeRows } from "./fixtures/flow.ts";
import { killAfter, pipeline } from "./fixtures/kills.ts";
import { random } from "./fixtures/rows.ts";

/** Kills in all. `deno task test:long` sets PARLEY_TEST_KILLS for more. */
const KILLS = Number(Deno.env.get("PARLEY_TEST_KILLS") ?? 3);
const KILLS_A_ROUND = 3;
const SEED = 20261122;

/** What comes in on one day: new messages, some of the day before changed, and engagement. */
function inputOf(flow: Flow, day: number) {
  const messages = Array.from({ length: 1_500 }, (_, n) => ({
    message_id: `m-${day * 1_200 + n}`,
    user_id: `u-${n % 97}`,
    message: `day ${day} says ${n % 31} about ${n % 7}`,
    timestamp: new Date(Date.UTC(2026, 0, 1 + day, 0, 0, n)).toISOString(),
    intent: `topic_${n % 7}`,
  }));
  const campaigns = Array.from({ length: 30 }, (_, n) => ({
    campaign_id: `c-${n}`,
    title: `Campaign ${n} as of day ${day}`,
    intents: [`topic_${n % 7}`],
  }));
  const events = Array.from({ length: 800 }, (_, n) => ({
    user_id: `u-${n % 97}`,
    campaign_id: `c-${n % 30}`,
    type: n % 5 === 0 ? "click" : "impression",
    timestamp: new Date(Date.UTC(2026, 0, 1 + day, 1, 0, n)).toISOString(),
  }));
  return {
    messages: [writeRows(flow, `messages-${day}.ndjson`, messages)],
    campaigns: [writeRows(flow, `campaigns-${day}.ndjson`, campaigns)],
    events: [writeRows(flow, `events-${day}.ndjson`, events)],
  };
}

/** Runs one day's input while killing the process that runs it, until the day's run has ended. */
async function disturbedDay(flow: Flow, day: number, next: () => number): Promise<number> {
  const input = inputOf(flow, day);
  const args = Object.entries(input).flatMap(([kind, paths]) => [`--${kind}`, ...paths]);
  const runsOf = async () =>
    (await flow.runs.runs({ limit: 100 })).filter(({ params }) =>
      (params.messages as string[])[0] === input.messages[0]
    );
  let killed = 0;
  while (true) {
    const runs = await runsOf();
    if (runs.length > 0 && runs.every(({ ended_at }) => ended_at !== null)) break;
    const child = pipeline(flow, runs.length === 0 ? args : ["work"]);
    const patience = killed < KILLS_A_ROUND ? 150 + 1_200 * next() : 60_000;
    if (await killAfter(child, patience)) killed++;
  }
  for (const { state, error } of await runsOf()) assert.equal(state, "success", error ?? "");
  return killed;
}

Deno.test(`${KILLS} kills at any instant lose nothing and do nothing twice`, () =>
  withFlow(async (flow) => {
    const next = random(SEED);
    let kills = 0, days = 0;
    while (kills < KILLS) kills += await disturbedDay(flow, days++, next);
    for (const { run_id } of await flow.runs.runs({ limit: 1_000 })) {
      const snapshot = await flow.runs.snapshot({ run_id });
      assert.deepEqual(snapshot?.attempts.filter(({ state }) => state === "running"), [], run_id);
    }
    const disturbed = await digests(flow);
    await withFlow(async (calm) => {
      for (let day = 0; day < days; day++) {
        const { outcome } = await nightlyRun(calm, inputOf(calm, day));
        assert.equal(outcome, "success");
      }
      assert.deepEqual(disturbed, await digests(calm));
    });
  }));
