import assert from "node:assert/strict";
import { CampaignNames } from "../../../lib/recommend/mentions.ts";

const NAMES = new CampaignNames([
  { campaign_id: "walk-1994", title: "The Long Walk (1994)", aliases: [] },
  { campaign_id: "walk-2010", title: "The Long Walk (2010)", aliases: [] },
  { campaign_id: "walk-2", title: "The Long Walk 2", aliases: [] },
  { campaign_id: "help", title: "The Help", aliases: ["Miss Skeeter's book"] },
  { campaign_id: "up", title: "Up (2009)", aliases: [] },
  { campaign_id: "amelie", title: "Amélie", aliases: [] },
  { campaign_id: "matrix", title: "Matrix, The (1999)", aliases: [] },
  { campaign_id: "waterproof", title: "Waterproof shells", aliases: ["the cagoule"] },
  { campaign_id: "gladiator", title: "Gladiator", aliases: [] },
  { campaign_id: "moon", title: "Moons", aliases: [] },
  { campaign_id: "chinese", title: "雨衣与登山鞋", aliases: ["雨衣"] },
  { campaign_id: "japanese", title: "となりのトトロ", aliases: [] },
  { campaign_id: "thai", title: "ต้มยำกุ้ง", aliases: [] },
  { campaign_id: "hindi", title: "पहाड़ की सैर", aliases: [] },
  { campaign_id: "bread", title: "Bread & Butter", aliases: [] },
  ...Array.from(
    { length: 30 },
    (_, i) => ({ campaign_id: `offer ${i}`, title: "Special offer", aliases: [] }),
  ),
  { campaign_id: "bikes", title: "Special offer on bikes", aliases: [] },
]);
const named = (text: string) => [...NAMES.find(text)];

Deno.test("CampaignNames finds titles and aliases whatever the case, accents and punctuation", () => {
  assert.deepEqual(named("WATERPROOF: shells!"), ["waterproof"]);
  assert.deepEqual(named("have you got the cagoule, or amelie"), ["waterproof", "amelie"]);
  assert.deepEqual(named("miss skeeter’s book"), ["help"]);
  assert.deepEqual(named("bread and butter, BREAD & BUTTER"), ["bread"]);
});

Deno.test("CampaignNames finds titles within sentences of scripts without spaces, and of ones with vowel signs", () => {
  assert.deepEqual(named("我想买雨衣与登山鞋。"), ["chinese"]);
  assert.deepEqual(named("雨衣"), [], "two letters are a word that people say");
  assert.deepEqual(named("昨日となりのトトロを見た"), ["japanese"]);
  assert.deepEqual(named("อยากดูต้มยำกุ้งอีก"), ["thai"]);
  assert.deepEqual(named("मुझे पहाड़ की सैर पसंद है"), ["hindi"]);
});

Deno.test("CampaignNames takes what very many campaigns are called for no name", () => {
  assert.deepEqual(named("is there a special offer?"), []);
  assert.deepEqual(named("is there a special offer on bikes?"), ["bikes"]);
});

Deno.test("CampaignNames takes the longest name, and one that several have for all of them", () => {
  assert.deepEqual(named("i saw the long walk 2"), ["walk-2"]);
  assert.deepEqual(named("i saw the long walk (2010)"), ["walk-2010"]);
  assert.deepEqual(named("i saw the long walk"), ["walk-1994", "walk-2010"]);
});

Deno.test("CampaignNames knows a title with its article at the end, and a short one by its year", () => {
  assert.deepEqual(named("loved The Matrix"), ["matrix"]);
  assert.deepEqual(named("what goes up"), []);
  assert.deepEqual(named("Up (2009) made me cry"), ["up"]);
});

Deno.test("CampaignNames takes one plain word for a name only if it is written as one", () => {
  assert.deepEqual(named("Thanks for the help."), []);
  assert.deepEqual(named("I liked The Help."), ["help"]);
  assert.deepEqual(named("i liked the help"), ["help"]);
});

Deno.test("CampaignNames forgives one letter in a longer word, and none in a short one", () => {
  for (const typo of ["waterprof shells", "waterproof shels", "waterporof shells", "vaterproof shells"]) {
    assert.deepEqual(named(`do you have ${typo}?`), ["waterproof"], typo);
  }
  assert.deepEqual(named("is gladiater any good"), ["gladiator"]);
  assert.deepEqual(named("is gladeater any good"), []);
  assert.deepEqual(named("is gladaitor any good"), ["gladiator"], "two neighbours exchanged");
  assert.deepEqual(named("is gladaztor any good"), [], "one missing and another added next to it");
  assert.deepEqual(named("the moors in autumn"), [], "a short single word must be right");
  assert.deepEqual(named("the log walk"), [], "words of four letters must be right");
});

Deno.test("CampaignNames finds nothing in nothing", () => {
  assert.deepEqual(named(""), []);
  assert.deepEqual(named("?!"), []);
  assert.deepEqual([...new CampaignNames([]).find("The Help")], []);
});
