import assert from "node:assert/strict";
import {
  conversationFeatures,
  countPeople,
  engagementWeight,
  findNeighbours,
  type Neighbour,
} from "../../../../lib/recommend/candidates/similar_conversations.ts";
import type { EngagementCounts } from "../../../../lib/stores/analytics/port.ts";
import type { ConversationEngagement } from "../../../../lib/stores/graph/port.ts";

const NONE: EngagementCounts = { impressions: 0, clicks: 0, conversions: 0, dismissals: 0 };

function row(
  conversation_id: string,
  user_id: string,
  campaign_id: string,
  options: Partial<EngagementCounts>,
): ConversationEngagement {
  return { conversation_id, user_id, campaign_id, ...NONE, ...options };
}

/** A neighbour of some weight that led to this. */
function neighbour(
  user_id: string,
  weight: number,
  did: Record<string, Partial<EngagementCounts>>,
): Neighbour {
  const engagement = Object.entries(did).map(([campaign_id, o]) => row("", user_id, campaign_id, o));
  return { conversation_id: `${user_id} ${weight}`, user_id, cosine: 0, weight, engagement };
}

function close(actual: number, expected: number) {
  assert.ok(Math.abs(actual - expected) < 1e-9, `${actual} is not ${expected}`);
}

const CHOSE = { impressions: 3, clicks: 1, conversions: 1 };
const CLICKED = { impressions: 1, clicks: 2 };
const SHOWN = { impressions: 4 };
const value = (neighbours: readonly Neighbour[], id: string) =>
  conversationFeatures(neighbours).get(id)?.value ?? 0;
const people = (neighbours: readonly Neighbour[], id: string) =>
  countPeople(conversationFeatures(neighbours).get(id)!);

Deno.test("engagementWeight() uses the furthest step, and is 0 after a dismissal", () => {
  const of = (options: Partial<EngagementCounts>) => engagementWeight({ ...NONE, ...options });
  assert.deepEqual([of(CHOSE), of(CLICKED), of(SHOWN), of({})], [1, 0.5, 0.1, 0]);
  assert.equal(of({ ...CHOSE, dismissals: 1 }), 0);
});

Deno.test("findNeighbours() takes the nearest conversations of others that led to engagement, 75 at most", async () => {
  const hits = Array.from({ length: 100 }, (_, i) => ({ id: `c${i}`, score: 0.9 - i / 1_000 }));
  const isMine = (id: string) => Number(id.slice(1)) % 10 === 1;
  const engagedIn = ({ conversation_ids }: { conversation_ids: readonly string[] }) =>
    Promise.resolve(
      conversation_ids.filter((id) => id !== "c0").map((id) => row(id, isMine(id) ? "me" : id, "x", CHOSE)),
    );
  const { neighbours: found, wording_neighbours } = await findNeighbours({
    graph: { engagedIn },
    vectorHits: hits,
    wordingHits: hits.slice(40).map(({ id, score }) => ({ id, score: score - 0.55 })),
    user_id: "me",
  });
  assert.equal(found.length, 75);
  assert.deepEqual(found.slice(0, 2).map((one) => one.conversation_id), ["c2", "c3"]);
  assert.ok(found.every(({ user_id }) => user_id !== "me"));
  assert.equal(found[0]!.weight, 1);
  assert.ok(Math.abs(found[50]!.weight - Math.exp((found[50]!.cosine - found[0]!.cosine) / 0.05)) < 1e-12);
  assert.equal(wording_neighbours[0]!.conversation_id, "c40");
  assert.ok(wording_neighbours[0]!.weight === 1 && wording_neighbours[0]!.cosine > 0.3);
  assert.ok(
    Math.abs(wording_neighbours.at(-1)!.weight - (wording_neighbours.at(-1)!.cosine / 0.3) ** 1.5) < 1e-12,
  );
});

Deno.test("findNeighbours() asks the graph about more than 80 only if too few of them are others'", async () => {
  const hits = Array.from({ length: 100 }, (_, i) => ({ id: `c${i}`, score: 0.9 }));
  for (const [own, expected] of [[5, [80]], [6, [80, 20]], [90, [80, 20]]] as const) {
    const asked: number[] = [];
    const engagedIn = ({ conversation_ids }: { conversation_ids: readonly string[] }) => {
      asked.push(conversation_ids.length);
      return Promise.resolve(
        conversation_ids.map((id) => row(id, Number(id.slice(1)) < own ? "me" : id, "x", CHOSE)),
      );
    };
    const { neighbours } = await findNeighbours({
      graph: { engagedIn },
      vectorHits: hits,
      wordingHits: [],
      user_id: "me",
    });
    assert.deepEqual(asked, expected);
    const others = hits.slice(own).slice(0, 75).map(({ id }) => id);
    assert.deepEqual(neighbours.map(({ conversation_id }) => conversation_id), others);
  }
});

Deno.test("findNeighbours() asks the graph nothing if nothing is near", async () => {
  const engagedIn = () => Promise.reject(new Error("asked"));
  const none = await findNeighbours({ graph: { engagedIn }, vectorHits: [], wordingHits: [], user_id: "me" });
  assert.deepEqual(none, { neighbours: [], wording_neighbours: [] });
});

Deno.test("conversationEvidence() is near 1 only if many neighbours chose the same", () => {
  const crowd = (n: number) => Array.from({ length: n }, (_, i) => neighbour(`u${i}`, 1, { x: CHOSE }));
  close(value(crowd(1), "x"), 1 / 4);
  close(value(crowd(2), "x"), 2 / 5);
  assert.ok(value(crowd(100), "x") > 0.97);
});

Deno.test("conversationEvidence() grades engagement, weighs nearness, and takes a dismissal for nothing", () => {
  const two = (
    did: Partial<EngagementCounts>,
  ) => [neighbour("a", 1, { x: did }), neighbour("b", 0.5, { y: CHOSE })];
  close(value(two(CHOSE), "x"), 1 / 4.5);
  close(value(two(CLICKED), "x"), 0.5 / 4.5);
  close(value(two(SHOWN), "x"), 0.1 / 4.5);
  close(value(two(CHOSE), "y"), 0.5 / 4.5);
  assert.equal(conversationFeatures(two({ ...CHOSE, dismissals: 1 })).has("x"), false);
});

Deno.test("countPeople() counts each person once, by the furthest step", () => {
  const neighbours = [
    neighbour("a", 1, { x: CLICKED }),
    neighbour("a", 0.9, { x: CHOSE }),
    neighbour("b", 0.8, { x: CLICKED }),
    neighbour("c", 1, { x: SHOWN }),
    neighbour("d", 1, { x: { ...CHOSE, dismissals: 1 } }),
  ];
  assert.deepEqual(people(neighbours, "x"), { converted: 1, clicked: 1, shown: 1 });
});

Deno.test("countPeople() omits people with a tiny contribution, and counts at least one", () => {
  const far = [neighbour("a", 1, { x: CHOSE, y: SHOWN }), neighbour("b", 0.05, { x: CHOSE, z: CLICKED })];
  assert.deepEqual(people(far, "x"), { converted: 1, clicked: 0, shown: 0 });
  assert.deepEqual(people(far, "y"), { converted: 0, clicked: 0, shown: 1 });
  assert.deepEqual(people(far, "z"), { converted: 0, clicked: 1, shown: 0 });
});
