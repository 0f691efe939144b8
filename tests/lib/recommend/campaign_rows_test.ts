import assert from "node:assert/strict";
import { CampaignRows } from "../../../lib/recommend/campaign_rows.ts";
import { newCampaign } from "../../../lib/recommend/showable.ts";
import { NOW } from "./world.ts";
import { campaign } from "./samples.ts";

Deno.test("CampaignRows reads each campaign once, and again when the catalogue or the version changes", async () => {
  const catalogue = new Map(["a", "b", "c"].map((id) => [id, campaign(id)]));
  const asked: string[] = [];
  const rows = new CampaignRows({
    campaigns: ({ campaign_ids }) => {
      asked.push(campaign_ids.join(""));
      return Promise.resolve(campaign_ids.flatMap((id) => catalogue.get(id) ?? []));
    },
    stats: ({ version, campaign_ids }) =>
      Promise.resolve(campaign_ids.map((id) => ({ ...newCampaign(id), clicks: version }))),
  });
  const get = async (ids: string, state: { version: number; epoch: number }) =>
    (await rows.get({ campaign_ids: [...ids], ...state }))
      .map(({ campaign: { campaign_id, status }, stats: { clicks } }) =>
        `${campaign_id} ${status} ${clicks}`
      );
  const state = { version: 1, epoch: 7 };
  assert.deepEqual(await get("b", state), ["b active 1"]);
  assert.deepEqual(await get("cab", state), ["a active 1", "b active 1", "c active 1"]);
  assert.deepEqual(await get("abc", state), ["a active 1", "b active 1", "c active 1"]);
  assert.deepEqual(asked, ["b", "ca"]);
  catalogue.set("b", campaign("b", { status: "paused" }));
  catalogue.delete("c");
  const changed = { ...state, epoch: 8 };
  assert.deepEqual(await get("abc", changed), ["a active 1", "b paused 1"]);
  const now = new Date(NOW).toISOString();
  const showable = await rows.showable({ campaign_ids: ["a", "b"], now, ...changed });
  assert.deepEqual(showable.map((row) => row.campaign.campaign_id), ["a"]);
  assert.deepEqual(await get("ab", { ...changed, version: 2 }), ["a active 2", "b paused 2"]);
});
