import assert from "node:assert/strict";
import { seededRandom } from "../../../lib/core/random.ts";
import { drawUncertain, exploredSlots, withExplored } from "../../../lib/recommend/explore.ts";
import { newCampaign } from "../../../lib/recommend/showable.ts";
import type { Ranked } from "../../../lib/recommend/score.ts";
import { decodeUncertain, encodeUncertain } from "../../../lib/recommend/uncertain_file.ts";
import { ranked } from "./samples.ts";

function of(campaign_id: string, impressions: number, clicks = 0, score = 0.5): Ranked {
  return ranked(campaign_id, { score, stats: { ...newCampaign(campaign_id), impressions, clicks } });
}
const idsOf = (page: readonly Ranked[]) => page.map(({ campaign }) => campaign.campaign_id);
const PAGE = Array.from({ length: 10 }, (_, n) => of(`p${n}`, 1_000));

Deno.test("exploredSlots() is the share of slots on average, and none of a short page", () => {
  const random = seededRandom(1);
  for (const [k, share] of [[10, 0.1], [5, 0.1], [100, 0.05], [4, 0.5]] as const) {
    const counts = Array.from({ length: 4_000 }, () => exploredSlots(k, share, random));
    const mean = counts.reduce((sum, count) => sum + count, 0) / counts.length;
    assert.ok(Math.abs(mean - k * share) < 0.03, `${k} ${share}: ${mean}`);
    assert.ok(counts.every((count) => count <= Math.ceil(k * share)));
  }
  assert.equal(exploredSlots(3, 0.5, () => 0.99), 0);
  assert.equal(exploredSlots(10, 0, () => 0.99), 0);
});

Deno.test("drawUncertain() draws each campaign alike often", () => {
  const ids = Array.from({ length: 100 }, (_, n) => `u${n}`);
  const random = seededRandom(2);
  const counts = new Map<string, number>();
  for (let i = 0; i < 2_000; i++) {
    const drawn = drawUncertain(ids, random);
    assert.equal(new Set(drawn).size, 40);
    for (const id of drawn) counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  for (const id of ids) assert.ok(Math.abs(counts.get(id)! - 800) < 120, `${id}: ${counts.get(id)}`);
});

Deno.test("withExplored() puts uncertain campaigns into the second half, in place of the last ones, and marks them", () => {
  const random = seededRandom(3);
  const places = new Set<number>();
  for (let i = 0; i < 200; i++) {
    const page = withExplored(PAGE, [of("new", 0), of("p3", 0), of("known", 200)], { slots: 1, random });
    assert.equal(page.length, 10);
    const place = idsOf(page).indexOf("new");
    places.add(place);
    assert.deepEqual(idsOf(page).filter((id) => id !== "new"), idsOf(PAGE).slice(0, 9));
    assert.deepEqual(page.filter(({ explored }) => explored).map(({ campaign }) => campaign.campaign_id), [
      "new",
    ]);
  }
  assert.deepEqual([...places].sort(), [5, 6, 7, 8, 9], "each place of the second half");
  assert.deepEqual(withExplored(PAGE, [], { slots: 1, random }), PAGE, "nothing to explore changes nothing");
});

Deno.test("withExplored() tries what is uncertain, finds the better one, and prefers what fits the user", () => {
  const share = (a: Ranked, b: Ranked, seed: number) => {
    const random = seededRandom(seed);
    let first = 0;
    for (let i = 0; i < 1_000; i++) {
      if (idsOf(withExplored(PAGE, [a, b], { slots: 1, random })).includes(a.campaign.campaign_id)) first++;
    }
    return first / 1_000;
  };
  assert.ok(
    share(of("new", 0), of("bad", 100, 2), 4) > 0.9,
    "one that was never shown, before one that was not clicked",
  );
  const tried = share(of("a", 10, 1), of("b", 10, 2), 5);
  assert.ok(tried > 0.15 && tried < 0.45, `little is known, so both are tried: ${tried}`);
  assert.ok(share(of("a", 190, 19), of("b", 190, 38), 6) < 0.02, "much is known, so the better one is shown");
  assert.ok(share(of("fitting", 10, 1, 0.6), of("other", 10, 1, 0.1), 7) > 0.9);
});

Deno.test("the rate that is drawn is, on average, that of the Beta distribution", () => {
  // Against a campaign that was never shown, whose rate is uniform, it wins as often as its mean rate says.
  const random = seededRandom(8);
  let wins = 0;
  for (let i = 0; i < 20_000; i++) {
    const page = withExplored(PAGE, [of("x", 10, 3), of("new", 0)], { slots: 1, random });
    if (idsOf(page).includes("x")) wins++;
  }
  assert.ok(Math.abs(wins / 20_000 - 4 / 12) < 0.015, `${wins / 20_000}`);
});

Deno.test("a file of campaigns to explore is read as it was written, and refused if it is damaged", async () => {
  const file = encodeUncertain(["a", "ä b"]);
  assert.deepEqual(await decodeUncertain(file), ["a", "ä b"]);
  file[file.length - 1]! ^= 1;
  await assert.rejects(decodeUncertain(file), { code: "mismatch" });
});
