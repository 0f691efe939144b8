import assert from "node:assert/strict";
import { openServing } from "../../commands/services.ts";
import { systemClock } from "../../lib/core/clock.ts";
import { setPreferences } from "../../lib/privacy/preferences.ts";
import { readUser } from "../../lib/privacy/read_user.ts";
import type { Answer } from "../../lib/recommend/answer.ts";
import { Recommender } from "../../lib/recommend/recommender.ts";
import { type Flow, flowTemplate, loadSample, nightlyRun, SAMPLE as SOURCES } from "../fixtures/flow.ts";

const withSample = flowTemplate(loadSample);
const USER = "keziah-boateng";

function set({ services }: Flow, personalisation: boolean) {
  return setPreferences({ stores: services, user_id: USER, preferences: { personalisation }, log: () => {} });
}

/** What is stored about the user, as `store kind`. */
async function kinds({ services, runs }: Flow): Promise<string[]> {
  const found = new Set<string>();
  for await (const { store, kind } of readUser({ stores: { ...services, runs }, user_id: USER })) {
    if (store !== "artifacts") found.add(`${store} ${kind}`);
  }
  return [...found].sort();
}

const ROWS = ["analytics event", "analytics preferences", "documents message", "vectors messages"];

Deno.test("a user without personalisation gets popular answers at once on every replica, and counts for no other user", () =>
  withSample(async (flow) => {
    const replicas = [await openServing(flow.config), await openServing(flow.config)];
    let later_ms = 0;
    const clock = { ...systemClock, now: () => systemClock.now() + later_ms };
    const recommenders = replicas.map(({ value: stores }) =>
      new Recommender({ stores, clock, answer_ms: 30_000 })
    );
    const ask = async (user_id: string): Promise<Answer[]> => {
      // Past the time for which a process may answer from the version before.
      later_ms += 1_000;
      const answers: Answer[] = [];
      for (const recommender of recommenders) {
        answers.push(JSON.parse((await recommender.serve({ user_id, k: 10 })).body));
      }
      return answers;
    };
    const ids = ({ items }: Answer) => items.map(({ campaign_id }) => campaign_id);
    try {
      // As a start does: an answer before that lacks what is still being loaded.
      for (const recommender of recommenders) await recommender.prepare();
      const known = await kinds(flow);
      const [before] = await ask(USER);
      const suppressed = await flow.services.analytics.finalEngagement({ user_id: USER });
      assert.ok(suppressed.length > 0);
      assert.deepEqual([before!.strategy, before!.degraded], ["personal", []]);
      await set(flow, false);
      const [unknown] = await ask("a-user-of-whom-nothing-is-stored");
      for (const answer of await ask(USER)) {
        assert.equal(answer.strategy, "popular");
        assert.deepEqual(ids(answer), ids(unknown!));
      }
      assert.deepEqual(await kinds(flow), ROWS.filter((kind) => known.includes(kind)));
      const stats = async () => {
        const published = await flow.services.analytics.published();
        const [first] = suppressed;
        const campaign_ids = [first!.campaign_id];
        return (await flow.services.analytics.stats({ version: published!.version, campaign_ids }))[0]!;
      };
      const counted = await stats();
      // Derived again from all sources, the user is still left out.
      const all = async () => {
        const { outcome, snapshot } = await nightlyRun(flow, { ...SOURCES, all: true } as typeof SOURCES);
        assert.equal(outcome, "success", snapshot.run.error ?? "");
      };
      await all();
      assert.deepEqual(await kinds(flow), ROWS.filter((kind) => known.includes(kind)));
      for (const answer of await ask(USER)) assert.equal(answer.strategy, "popular");
      const own = (await flow.services.analytics.engagement({ user_ids: [USER] }))
        .find(({ campaign_id }) => campaign_id === counted.campaign_id)!;
      const without = await stats();
      assert.equal(without.impressions, counted.impressions - own.impressions);
      assert.equal(without.conversions, counted.conversions - own.conversions);
      await set(flow, true);
      await all();
      assert.deepEqual(await kinds(flow), known);
      const [after] = await ask(USER);
      assert.deepEqual([after!.strategy, after!.degraded], ["personal", []]);
      assert.deepEqual(ids(after!), ids(before!));
    } finally {
      for (const { close } of replicas) await close();
    }
  }));
