import assert from "node:assert/strict";
import { ParleyError } from "../../../lib/core/errors.ts";
import { MAX_FILTER_CHARACTERS, parseFilter } from "../../../lib/recommend/filter.ts";
import { campaign } from "../../fixtures/rows.ts";

const SHOE = campaign({
  campaign_id: "s1",
  title: "Trail shoe",
  category: "shoes",
  tags: ["sale", "new"],
  metadata: { price: 80, stock: 3, sold_out: false, brand: { name: "Roc" }, "and": "x" },
});
const BARE = campaign({ campaign_id: "b1" });

/** Whether each of the two passes. */
function passes(filter: string): [shoe: boolean, bare: boolean] {
  const parsed = parseFilter(filter);
  return [parsed(SHOE), parsed(BARE)];
}

Deno.test("parseFilter() compares fields, lists, texts and metadata", () => {
  for (
    const filter of [
      'category in ["shoes", "hats"] and metadata.price < 100',
      'category == "shoes" && metadata.price >= 80',
      '"sale" in tags and size(tags) == 2',
      "metadata.price > 79.5",
      "metadata.stock in [3, 4]",
      "metadata.price in [80, 120.5]",
      "metadata.price in [1e2, 80]",
      "metadata.price in [80, 1e-3]",
      "metadata.price in [8e+1, 3]",
      "metadata.price in [1.5, 2, 80] and metadata.stock in [3]",
      "size(tags) in [1, 2] and metadata.price in [79.5, 80.0]",
      'tags[0] == "sale" and metadata.price in [0.5, 80]',
      'metadata.brand.name.startsWith("R")',
      'metadata["and"] == "x"',
      'metadata.and == "x"',
      'title.contains("shoe") and campaign_id != "b1"',
      "has(metadata.price)",
      '(category == "hats" or metadata.price < 100) and metadata.stock > -1',
    ]
  ) assert.deepEqual(passes(filter), [true, false], filter);
});

Deno.test("parseFilter() takes what needs a missing field, or another type, for false and no error", () => {
  assert.deepEqual(passes("metadata.absent < 3"), [false, false]);
  assert.deepEqual(passes('metadata.absent < 3 or category == "shoes"'), [true, false]);
  assert.deepEqual(passes("metadata.brand < 3"), [false, false]);
  assert.deepEqual(passes('metadata.price == "80"'), [false, false]);
  assert.deepEqual(passes("metadata.price"), [false, false]);
  assert.deepEqual(passes("metadata.sold_out"), [false, false]);
  assert.deepEqual(passes('ends_at > "2026"'), [false, false]);
  assert.deepEqual(passes("metadata.constructor == 1 or metadata.__proto__ == 1"), [false, false]);
});

Deno.test("parseFilter() negates with `not` all up to the next `and` or `or`, and what is missing is false before that", () => {
  assert.deepEqual(passes("not metadata.sold_out"), [true, true]);
  assert.deepEqual(passes('not category == "shoes"'), [false, true]);
  assert.deepEqual(passes('not category == "shoes" or metadata.price < 100'), [true, true]);
  assert.deepEqual(passes('not (category == "shoes" and metadata.price < 50)'), [true, true]);
  assert.deepEqual(passes('not not category == "shoes"'), [true, false]);
  assert.deepEqual(passes("!has(metadata.price)"), [false, true]);
});

Deno.test("parseFilter() leaves texts as they are, with words and quotes in them", () => {
  const named = (title: string) => parseFilter(`title == ${JSON.stringify(title)}`)(campaign({ title }));
  for (
    const title of [
      "salt and pepper",
      "to be or not to be",
      'say "not" \\ or',
      "it's and",
      "a && b || !c",
      "Shoes 👟 für 日本",
      "\u007f\u2028\u0007\t",
    ]
  ) {
    assert.ok(named(title), title);
  }
  assert.ok(parseFilter("title == 'salt and \\'pepper\\''")(campaign({ title: "salt and 'pepper'" })));
});

Deno.test("parseFilter() compares very large and very small numbers exactly", () => {
  const passesFor = (filter: string, x: number) => parseFilter(filter)(campaign({ metadata: { x } }));
  for (const n of [1e21, 1.5e300, 5e-324, 1e-10, 0.1234567890123, 3]) {
    assert.ok(passesFor(`metadata.x == ${n}`, n), `${n}`);
    assert.ok(passesFor(`metadata.x == -${n}`, -n), `-${n}`);
    assert.ok(!passesFor(`metadata.x < ${n}`, n) && passesFor(`metadata.x < ${n}`, 0), `< ${n}`);
  }
  assert.ok(passesFor("metadata.x == 3.0", 3) && passesFor("metadata.x < 123456789012345678", 3));
});

Deno.test("parseFilter() says where an expression is wrong, and does not quote it", () => {
  const cases: [filter: string, detail: RegExp][] = [
    ['category == "shoes" and', /^filter, character 24: /],
    ["true and and true", /^filter, character 10: /],
    ["or true", /^filter, character 1: /],
    ['category == "shoes" and nope == 1', /^filter, character 25: Unknown variable: nope$/],
    ["category < 5", /^filter, character 1: no such overload: string < int$/],
    ["category", /of the type string/],
    ["metadata.price < 100 # cheap", /^filter, character 22: /],
    [
      'title.matches("(a+)+$")',
      /^filter, character \d+: only startsWith, endsWith, contains, size are methods here$/,
    ],
    ["tags.exists(t, t == tags[0])", /are methods here/],
    ['timestamp("2026-01-01T00:00:00Z") == 1', /^filter, character 1: only has, size are functions here$/],
    ["1 + 1 == 2", /\+ is not possible here/],
    ['{"a": 1}.a == 1', /^filter, character 1: map is not possible here$/],
    ['title == """x"""', /within one pair of quotes/],
    ['title == r"\\" or title == "x"', /within one pair of quotes/],
    ["", /^filter, character 1: /],
    ["(".repeat(60) + "true" + ")".repeat(60), /^filter/],
    [`category in [${Array.from({ length: 120 }, () => "'a'").join()}]`, /^filter/],
    ["x".repeat(MAX_FILTER_CHARACTERS + 1), /longer than/],
  ];
  for (const [filter, detail] of cases) {
    assert.throws(() => parseFilter(filter), (error) => {
      assert.ok(error instanceof ParleyError && error.code === "invalid", String(error));
      assert.match(error.message, detail);
      assert.ok(!error.message.includes("\n"), error.message);
      return true;
    }, filter);
  }
});
