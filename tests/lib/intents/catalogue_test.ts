import assert from "node:assert/strict";
import { parseCatalogue } from "../../../lib/intents/catalogue.ts";
import { ROOT } from "../../fixtures/flow.ts";

const entry = (intent: string, more: object = {}) => ({
  intent,
  description: `about ${intent}`,
  examples: [1, 2, 3].map((n) => `${intent} example ${n}`),
  ...more,
});
const GOOD = ["buy", "ask", "return"].map((intent) => entry(intent));
const parse = (value: unknown) => parseCatalogue({ source: "intents.json", text: JSON.stringify(value) });

Deno.test("parseCatalogue() takes the sample's catalogue", async () => {
  const source = `${ROOT}sample/intents.json`;
  const { intents } = parseCatalogue({ source, text: await Deno.readTextFile(source) });
  assert.equal(intents.length, 12);
});

Deno.test("parseCatalogue() gives a version that order and descriptions do not change", () => {
  const { version } = parse(GOOD);
  const turned = GOOD.toReversed().map((one) => ({
    ...one,
    description: "",
    examples: one.examples.toReversed(),
  }));
  assert.equal(parse(turned).version, version);
  assert.notEqual(parse([...GOOD, entry("complain")]).version, version);
  const { description: _, ...without } = GOOD[0]!;
  assert.equal(parse([without, ...GOOD.slice(1)]).intents[0]!.description, "");
});

const WRONG: readonly [string, unknown, RegExp][] = [
  ["what is no list", { intents: GOOD }, /it must be a JSON array of intents/],
  ["too few intents", GOOD.slice(1), /it has fewer than 3 intents/],
  [
    "too few examples",
    [entry("x", { examples: ["a", "b"] }), ...GOOD],
    /item 1, examples has fewer than 3 examples/,
  ],
  ["a blank example", [...GOOD, entry("x", { examples: ["a", "b", " "] })], /item 4, examples 3 is blank/],
  ["an unknown field", [entry("x", { exmaples: [] }), ...GOOD], /item 1 has unknown fields: exmaples/],
  [
    "an intent without a name",
    [entry("x", { intent: undefined }), ...GOOD],
    /item 1, intent must be a string/,
  ],
  [
    "an intent that is defined twice",
    [...GOOD, entry("buy", { examples: ["a", "b", "c"] })],
    /the intent buy is defined twice/,
  ],
  [
    "an example of two intents",
    [...GOOD, entry("x", { examples: ["a", "b", "ask example 2"] })],
    /example 3 of x is an example of ask/,
  ],
];
for (const [what, value, sentence] of WRONG) {
  Deno.test(`parseCatalogue() refuses ${what}`, () => {
    assert.throws(() => parse(value), { code: "invalid", message: sentence });
    assert.throws(() => parse(value), { message: /^the catalogue intents\.json cannot be used: [^\n]+$/ });
  });
}

Deno.test("parseCatalogue() takes 20,000 examples in all and refuses one more", () => {
  const full = (intent: string, count: number) =>
    entry(intent, { examples: Array.from({ length: count }, (_, n) => `${intent} ${n}`) });
  const most = Array.from({ length: 100 }, (_, n) => full(`intent ${n}`, 200));
  assert.equal(parse(most).intents.length, 100);
  assert.throws(() => parse([...most.slice(1), full("a", 198), full("b", 3)]), {
    code: "invalid",
    message: "the catalogue intents.json cannot be used: it has more than 20000 examples in all",
  });
});

Deno.test("parseCatalogue() refuses text that is not JSON, and reports many errors but not all", () => {
  assert.throws(() => parseCatalogue({ source: "x", text: "[" }), {
    code: "invalid",
    message: /^the catalogue x is not JSON/,
  });
  const many = Array.from({ length: 20 }, () => entry("y", { examples: [] }));
  assert.throws(() => parse(many), /; and 10 more$/);
});
