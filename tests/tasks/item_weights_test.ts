import assert from "node:assert/strict";
import { decodeItemWeights, ITEM_WEIGHTS_FILE } from "../../lib/recommend/item_item_file.ts";
import type { AnalyticsStore } from "../../lib/stores/analytics/port.ts";
import { saveItemWeights } from "../../tasks/steps/item_weights.ts";
import { withInputStores } from "../fixtures/context.ts";
import { campaign, event } from "../fixtures/rows.ts";

async function weightsOf(analytics: AnalyticsStore, version = 1) {
  const file = await analytics.file({ version, name: ITEM_WEIGHTS_FILE });
  const { campaign_ids, offsets, targets, weights } = await decodeItemWeights(file!);
  const rows = new Map<string, number>();
  for (let source = 0; source < campaign_ids.length; source++) {
    for (let at = offsets[source]!; at < offsets[source + 1]!; at++) {
      rows.set(`${campaign_ids[source]} → ${campaign_ids[targets[at]!]}`, weights[at]!);
    }
  }
  return { campaign_ids, rows };
}

const add = (analytics: AnalyticsStore, ids: readonly string[]) =>
  analytics.upsertCampaigns({ campaigns: ids.map((campaign_id) => campaign({ campaign_id })) });

Deno.test("saveItemWeights() learns what goes together from the clicks and conversions of all users, page by page", () =>
  withInputStores(async ({ services: { analytics } }) => {
    await add(analytics, ["b", "a", "c", "d"]);
    // More users than are read at a time; those with a and b are spread among those with c alone.
    const events = Array.from({ length: 1_203 }, (_, n) => {
      const user_id = `user-${String(n).padStart(4, "0")}`;
      const took = n % 3 === 0 ? ["a", "b"] : ["c"];
      return took.map((campaign_id) => event({ user_id, campaign_id, type: n % 2 ? "click" : "conversion" }));
    }).flat();
    await analytics.upsertEvents({ events });
    const saved = await saveItemWeights(analytics, { version: 1 });
    const { campaign_ids, rows } = await weightsOf(analytics);
    assert.deepEqual(campaign_ids, ["a", "b", "c", "d"]);
    assert.deepEqual([...rows.keys()], ["a → b", "b → a"]);
    // 401 users took both: 401 / (401 + 100).
    for (const weight of rows.values()) assert.ok(Math.abs(weight - 401 / 501) < 1e-6);
    assert.deepEqual({ ...saved, bytes: 0 }, { users: 1_203, campaigns: 3, rows: 2, bytes: 0 });
    assert.equal(saved.bytes, (await analytics.file({ version: 1, name: ITEM_WEIGHTS_FILE }))!.length);
  }));

Deno.test("saveItemWeights() omits campaigns that were dismissed, only shown, or are not in the catalogue", () =>
  withInputStores(async ({ services: { analytics } }) => {
    await add(analytics, ["a", "b", "c", "d"]);
    const users = Array.from({ length: 30 }, (_, n) => `user-${n}`);
    await analytics.upsertEvents({
      events: users.flatMap((user_id) => [
        event({ user_id, campaign_id: "a", type: "conversion" }),
        event({ user_id, campaign_id: "b", type: "click" }),
        event({ user_id, campaign_id: "c", type: "click" }),
        event({ user_id, campaign_id: "c", type: "dismissal" }),
        event({ user_id, campaign_id: "d", type: "impression" }),
        event({ user_id, campaign_id: "unknown", type: "conversion" }),
      ]),
    });
    await saveItemWeights(analytics, { version: 1 });
    assert.deepEqual([...(await weightsOf(analytics)).rows.keys()], ["a → b", "b → a"]);
  }));
