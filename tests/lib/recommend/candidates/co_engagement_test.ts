import assert from "node:assert/strict";
import { ItemItem } from "../../../../lib/recommend/candidates/co_engagement.ts";
import { engagement } from "../samples.ts";

/** Weights as `source → { target: weight }`, over these and all that they name. */
function itemItem(table: Record<string, Record<string, number>>): ItemItem {
  const campaign_ids = [...new Set(Object.entries(table).flatMap(([id, row]) => [id, ...Object.keys(row)]))]
    .sort();
  const place = (id: string) => campaign_ids.indexOf(id);
  const rows = campaign_ids.map((id) =>
    Object.entries(table[id] ?? {}).map(([target, weight]) => ({ target: place(target), weight }))
      .sort((a, b) => a.target - b.target)
  );
  const offsets = new Uint32Array(campaign_ids.length + 1);
  rows.forEach((row, i) => offsets[i + 1] = offsets[i]! + row.length);
  return new ItemItem({
    campaign_ids,
    offsets,
    targets: Uint32Array.from(rows.flat(), ({ target }) => target),
    weights: Float32Array.from(rows.flat(), ({ weight }) => weight),
  });
}

const TABLE = { a: { x: 0.5, y: 0.25, z: -0.5 }, b: { x: 0.125, y: 0.5, a: 0.25 }, c: { z: 0.25, x: 2 } };
const own = (
  options: Record<
    string,
    { clicks?: number; conversions?: number; dismissals?: number; impressions?: number }
  >,
) => itemItem(TABLE).relatedTo(Object.entries(options).map(([id, did]) => engagement("me", id, did)));

Deno.test("ItemItem adds up what each of the user's clicks and conversions says", () => {
  const related = own({ a: { conversions: 1 }, b: { clicks: 3 } });
  assert.deepEqual([related.value("x"), related.value("y"), related.value("a")], [0.625, 0.75, 0.25]);
  assert.deepEqual(related.strongest, ["y", "x", "a"]);
});

Deno.test("ItemItem stays within 0..1", () => {
  assert.equal(own({ a: { conversions: 1 } }).value("z"), 0);
  assert.equal(own({ c: { conversions: 1 } }).value("x"), 1);
  assert.deepEqual(own({ a: { conversions: 1 } }).strongest, ["x", "y"]);
});

Deno.test("ItemItem ignores campaigns that were dismissed or only shown", () => {
  const related = own({ a: { conversions: 1, dismissals: 1 }, b: { impressions: 9 } });
  assert.deepEqual([related.strongest, related.value("x"), related.cause("x")], [[], 0, null]);
});

Deno.test("ItemItem counts a fifth for a campaign that was only named, and nothing more for one that was met too", () => {
  const clicked = [engagement("me", "b", { clicks: 1 })];
  const related = itemItem(TABLE).relatedTo(clicked, ["a", "b", "unknown"]);
  assert.equal(related.value("x"), Math.fround(0.125) + 0.2 * 0.5);
  assert.deepEqual(related.cause("x"), { campaign_id: "b", by: "click" });
  const named = itemItem(TABLE).relatedTo([], ["a"]);
  assert.deepEqual(named.cause("x"), { campaign_id: "a", by: "mention" });
  const dismissed = itemItem(TABLE).relatedTo([engagement("me", "a", { dismissals: 1 })], ["a"]);
  assert.deepEqual(dismissed.strongest, []);
});

Deno.test("ItemItem names the user's own campaign that says most for another", () => {
  const related = own({ a: { conversions: 1 }, b: { clicks: 1 }, c: { clicks: 1 } });
  assert.equal(related.cause("y")?.campaign_id, "b");
  assert.equal(related.cause("z")?.campaign_id, "c");
  assert.deepEqual([related.cause("b"), related.cause("unknown")], [null, null]);
});

Deno.test("ItemItem knows campaigns that it has no weights of, and users without engagement", () => {
  assert.deepEqual(own({ unknown: { conversions: 1 } }).strongest, []);
  assert.deepEqual(own({}).strongest, []);
});

Deno.test("ItemItem proposes 200 campaigns and knows the value of others", () => {
  const many = Object.fromEntries(
    Array.from({ length: 300 }, (_, i) => [`t${1_000 + i}`, (300 - i) / 1_000]),
  );
  const related = itemItem({ a: many }).relatedTo([engagement("me", "a", { clicks: 1 })]);
  assert.deepEqual([related.strongest.length, related.strongest[0], related.strongest[199]], [
    200,
    "t1000",
    "t1199",
  ]);
  assert.ok(Math.abs(related.value("t1299") - 0.001) < 1e-6);
});
