import assert from "node:assert/strict";
import { CampaignNames } from "../../../lib/recommend/mentions.ts";
import { readStances, type Subject } from "../../../lib/recommend/negation.ts";

const campaign = (campaign_id: string, title: string, category: string, tags: string[] = []) => ({
  campaign_id,
  title,
  aliases: [],
  category,
  tags,
});
const NAMES = new CampaignNames([
  campaign("trail", "The Trail Map", "maps", ["paper"]),
  campaign("night", "Night Walk (2019)", "walks", ["night", "hard"]),
  campaign("ridge", "Ridge Walk", "walks", ["hard"]),
  campaign("wool", "Merino Socks", "clothing", ["wool"]),
]);

/** Names with a sign for each stance, in the order said. */
function read(text: string, last?: readonly Subject[]): string {
  const { stances } = readStances(text, { names: NAMES, ...last && { last } });
  return stances.map(({ subject, polarity }) => `${polarity === "negative" ? "-" : "+"}${subject.name}`).join(
    " ",
  );
}

Deno.test("readStances() finds what is not wanted or not liked, by name, category and tag", () => {
  for (
    const [text, expected] of [
      ["Not the trail map, please.", "-trail"],
      ["Anything but Ridge Walk", "-ridge"],
      ["I hated the Night Walk (2019)", "-night"],
      ["I don’t want walks, show me maps", "-walks +maps"],
      ["no wool and no maps", "-wool -maps"],
      ["Ridge Walk was boring, I loved Night Walk", "-ridge +night"],
      ["I liked Ridge Walk and Night Walk, not the Trail Map", "+ridge +night -trail"],
      ["Neither Ridge Walk nor Night Walk for me", "-ridge -night"],
      ["Ridge Walk? No thanks.", "-ridge"],
      ["I tried Ridge Walk. It was awful.", "+ridge -ridge"],
      ["I'd rather do maps than walks", "+maps -walks"],
      ["I would sooner read than do a walk", "-walks"],
      ["I prefer maps to walks", "+maps -walks"],
      ["I prefer Night Walk over Ridge Walk", "+night -ridge"],
      ["There's no need to show me walks", "-walks"],
      ["No need for more maps", "-maps"],
    ] as const
  ) assert.equal(read(text), expected, text);
});

Deno.test("readStances() knows negations whose scope does not cover the name", () => {
  for (
    const [text, expected] of [
      ["Not only Ridge Walk, Night Walk too", "+ridge +night"],
      ["I don't mind walks", "+walks"],
      ["Why not Ridge Walk?", "+ridge"],
      ["I can't wait for Ridge Walk", "+ridge"],
      ["I have not seen Ridge Walk yet", "+ridge"],
      ["I have done Ridge Walk but not Night Walk", "+ridge -night"],
      ["I have seen Ridge Walk but not Night Walk", "+ridge"],
      ["I never get tired of Ridge Walk", "+ridge"],
      ["I don't want anything but Ridge Walk", "+ridge"],
      ["Don't forget the Trail Map", "+trail"],
      ["Isn't Ridge Walk too hard?", "+ridge +hard"],
      ["I used to hate walks, now I love it", "+walks"],
      ["I used to really dislike Ridge Walk", "+ridge"],
      ["If it's not walks I'm not interested", ""],
      ["Nothing I'd rather do than walks", "+walks"],
      ["I prefer to go to walks", "+walks"],
      ["I like maps more than walks", "+maps +walks"],
      ["No need to skip Ridge Walk", "+ridge"],
    ] as const
  ) assert.equal(read(text), expected, text);
});

Deno.test("readStances() takes what others think for nothing", () => {
  assert.equal(read("Critics hated Ridge Walk"), "");
  assert.equal(read("My brother says Ridge Walk is boring, but I would love to go"), "");
  assert.equal(read('She said "never Ridge Walk again"'), "");
  assert.equal(read("Too bad that you don't like walks"), "");
  assert.equal(read("My wife and I hated Ridge Walk"), "-ridge");
});

Deno.test("readStances() reads a pronoun as the campaigns that were named last, also by the other side", () => {
  const { last } = readStances("How about Ridge Walk?", { names: NAMES });
  assert.deepEqual(last, [{ of: "campaign", name: "ridge" }]);
  assert.equal(read("I did it once and hated it", last), "-ridge");
  assert.equal(read("No, not a fan", last), "-ridge");
  assert.equal(read("Just kidding, I love it", last), "+ridge");
  assert.equal(read("It is cold today", last), "");
  assert.equal(read("I hated it"), "");
});

Deno.test("readStances() reads English only", () => {
  assert.equal(read("Ich will keine maps, no maps bitte"), "");
  assert.equal(read("No quiero ver Ridge Walk"), "");
  assert.equal(read("Не хочу Ridge Walk, no"), "");
  assert.equal(read("no Ridge Walk"), "-ridge");
});

Deno.test("readStances() does not hang on any repeated word", () => {
  for (
    const word of ["not ", "do not want a ", "anything other than ", "it ", '"', "( ", "maps, ", "maps and "]
  ) {
    const start = performance.now();
    for (const text of [word.repeat(4_000), `${word.repeat(9)}maps `.repeat(400)]) {
      readStances(`${text.slice(0, 8_000)} maps`, { names: NAMES });
    }
    assert.ok(performance.now() - start < 10_000, word);
  }
});
