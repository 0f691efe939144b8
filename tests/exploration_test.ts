import assert from "node:assert/strict";
import { openServing } from "../commands/services.ts";
import { systemClock } from "../lib/core/clock.ts";
import type { Answer } from "../lib/recommend/answer.ts";
import { CONTROL_ARM } from "../lib/recommend/arms.ts";
import { MAX_IMPRESSIONS } from "../lib/recommend/explore.ts";
import { Recommender } from "../lib/recommend/recommender.ts";
import { type Flow, flowTemplate, loadSample } from "./fixtures/flow.ts";
import { campaign } from "./fixtures/rows.ts";

const withSample = flowTemplate(loadSample);
const USERS = ["jonas-ekdahl", "pip-longstaff", "keziah-boateng", "a-user-of-whom-nothing-is-stored"];

/** Answers by a recommender of the sample's stores, each computed for itself. */
async function withRecommender(
  { config }: Flow,
  exploration: number,
  body: (recommender: Recommender, ask: (user_id: string, k?: number) => Promise<Answer>) => Promise<void>,
): Promise<void> {
  const { value: stores, close } = await openServing(config);
  let later_ms = 0;
  const clock = { now: () => systemClock.now() + later_ms };
  const recommender = new Recommender({ stores, clock, answer_ms: 30_000, exploration });
  try {
    await recommender.prepare();
    await body(recommender, async (user_id, k = 10) => {
      // Another time is another seed, and no cached answer holds.
      later_ms += 120_000;
      const { answer } = await recommender.explain({ user_id, k });
      assert.deepEqual(answer.degraded, []);
      return answer;
    });
  } finally {
    await close();
  }
}

const explored = ({ items }: Answer) => items.filter(({ reasons }) => reasons[0]!.code === "exploration");
const idsOf = ({ items }: Answer) => items.map(({ campaign_id }) => campaign_id);

Deno.test("a share of the slots is explored, in the second half, and the rest is as without", () =>
  withSample(async (flow) => {
    const plain = new Map<string, string[]>();
    await withRecommender(flow, 0, async (_, ask) => {
      for (const user_id of USERS) {
        const answer = await ask(user_id);
        assert.deepEqual(explored(answer), []);
        plain.set(user_id, idsOf(answer));
      }
    });
    await withRecommender(flow, 0.2, async (_, ask) => {
      let slots = 0;
      for (let n = 0; n < 40; n++) {
        const user_id = USERS[n % USERS.length]!;
        const answer = await ask(user_id);
        const tried = explored(answer);
        slots += tried.length;
        assert.equal(answer.items.length, 10);
        assert.ok(tried.length <= 3);
        for (const item of tried) {
          assert.ok(answer.items.indexOf(item) >= 4, "not among the first");
          const { code, facts } = item.reasons[0]!;
          assert.ok(code === "exploration" && facts.impressions < MAX_IMPRESSIONS);
        }
        const rest = idsOf(answer).filter((id) => !tried.some(({ campaign_id }) => campaign_id === id));
        assert.deepEqual(rest, plain.get(user_id)!.slice(0, rest.length));
      }
      assert.ok(Math.abs(slots / 40 - 2) < 0.2, `${slots / 40} of ten slots`);
    });
  }));

Deno.test("answers of the control arm are not explored", () =>
  withSample(async ({ config }) => {
    const { value: stores, close } = await openServing(config);
    const options = { stores, clock: systemClock, answer_ms: 30_000, exploration: 0.5 };
    const recommender = new Recommender({ ...options, arms: { of: () => CONTROL_ARM } });
    try {
      const { answer } = await recommender.explain({ user_id: USERS[0]!, k: 20 });
      assert.deepEqual([answer.items.length, explored(answer).length], [20, 0]);
      const other = await new Recommender(options).explain({ user_id: USERS[0]!, k: 20 });
      assert.ok(explored(other.answer).length >= 9);
    } finally {
      await close();
    }
  }));

Deno.test("what is explored may be shown: not suppressed, ended, excluded, of another category, or shown before", () =>
  withSample(async (flow) => {
    const [user_id] = USERS as [string];
    const final = await flow.services.analytics.finalEngagement({ user_id });
    const suppressed = new Set(final.map(({ campaign_id }) => campaign_id));
    assert.ok(suppressed.size > 0);
    await withRecommender(flow, 0.5, async (recommender, ask) => {
      let tried = 0;
      for (let n = 0; n < 10; n++) {
        const answer = await ask(user_id, 8);
        tried += explored(answer).length;
        assert.deepEqual(idsOf(answer).filter((id) => suppressed.has(id)), []);
        const rows = await flow.services.analytics.campaigns({ campaign_ids: idsOf(answer) });
        const now = new Date().toISOString();
        for (const { status, ends_at } of rows) {
          assert.ok(status === "active" && (ends_at === null || ends_at > now));
        }
      }
      assert.ok(tried > 10, `${tried}`);
      const exclude = (await flow.services.analytics.campaignPage({ after: null, limit: 20 })).map((row) =>
        row.campaign_id
      );
      const { answer: without } = await recommender.explain({ user_id, k: 10, exclude });
      assert.deepEqual(idsOf(without).filter((id) => exclude.includes(id)), []);
      const { answer: garden } = await recommender.explain({ user_id, k: 6, category: "garden" });
      assert.ok(garden.items.length > 0 && garden.items.every(({ category }) => category === "garden"));
      const seen = new Set<string>();
      let page: Answer = JSON.parse((await recommender.serve({ user_id, k: 8 })).body);
      for (let n = 0; n < 20 && page.items.length > 0; n++) {
        for (const id of idsOf(page)) {
          assert.ok(!seen.has(id), `${id} is on two pages`);
          seen.add(id);
        }
        const next = await recommender.serveNext(page.recommendation_id!, {
          rows: () => ({ messages: [], events: [] }),
        });
        page = JSON.parse(next.body);
      }
      assert.ok(seen.size > 30, `${seen.size}`);
    });
  }));

Deno.test("a campaign that no source knows is shown sooner or later, and an answer is the same for its seed", () =>
  withSample(async (flow) => {
    await flow.services.analytics.upsertCampaigns({
      campaigns: [
        campaign({ campaign_id: "brand-new", title: "Zq", description: null, intents: [], category: null }),
      ],
    });
    const isShown = async (exploration: number) => {
      let shown = false;
      await withRecommender(flow, exploration, async (_, ask) => {
        for (let n = 0; n < 60 && !shown; n++) shown = idsOf(await ask(USERS[n % 3]!)).includes("brand-new");
      });
      return shown;
    };
    assert.deepEqual([await isShown(0), await isShown(0.2)], [false, true]);
    await withRecommender(flow, 0.5, async (recommender) => {
      const request = { user_id: USERS[0]!, k: 10 };
      const [a, b] = [await recommender.serve(request), await recommender.serve(request)];
      assert.equal(b.cache, "hit");
      assert.equal(a.body, b.body);
    });
  }));
