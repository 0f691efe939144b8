import assert from "node:assert/strict";
import { plainText } from "../../../lib/core/text.ts";
import { TopicNames } from "../../../lib/recommend/topic_names.ts";

function named(text: string, catalogue: readonly { category: string | null; tags: string[] }[]): string[] {
  const names = new TopicNames();
  for (const campaign of catalogue) names.add(campaign);
  return names.locate(plainText(text)).flatMap(({ start, end, topics }) =>
    topics.map(({ of, name }) => `${of} ${name} ${start}-${end}`)
  );
}

Deno.test("TopicNames finds categories and tags in singular and plural, the longest name first", () => {
  const catalogue = [
    { category: "Comedy", tags: ["sci-fi", "boxes"] },
    { category: "city breaks", tags: ["city", "comedy"] },
    { category: null, tags: ["jazz", "glasses", "bus"] },
  ];
  assert.deepEqual(named("two comedies", catalogue), ["category Comedy 4-12", "tag comedy 4-12"]);
  assert.deepEqual(named("a CITY break in a city", catalogue), [
    "category city breaks 2-12",
    "tag city 18-22",
  ]);
  assert.deepEqual(named("Sci Fi, a box", catalogue), ["tag sci-fi 0-6", "tag boxes 10-13"]);
  assert.deepEqual(named("jazz by the bus", catalogue), ["tag jazz 0-4", "tag bus 12-15"]);
  assert.deepEqual(named("nothing of these", catalogue), []);
});

Deno.test("TopicNames leaves out names of two letters, and those of more than half of the catalogue", () => {
  const catalogue = ["a", "b", "c", "d"].map((tag) => ({ category: "film", tags: ["tv", `tag ${tag}`] }));
  assert.deepEqual(named("a film on tv, tag c", catalogue), ["tag tag c 14-19"]);
});
