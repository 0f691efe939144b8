import assert from "node:assert/strict";
import { healthy } from "./health.ts";
import type { Json } from "../../lib/core/types.ts";
import type { Engagement } from "../../lib/stores/analytics/port.ts";
import { SetDigest } from "../../lib/stores/digest.ts";
import type { IntentCount } from "../../lib/stores/documents/port.ts";
import type { GraphStore } from "../../lib/stores/graph/port.ts";
import type { Handles } from "../fixtures/handles.ts";
import { minute, random } from "../fixtures/rows.ts";
import { GRAPH_CALLS } from "./calls.ts";
import { cancellationContract, type Opened } from "./cancellation.ts";
import { GRAPH, handlesContract } from "./handles.ts";

type Open = () => Promise<Handles<GraphStore>>;
type Test = (title: string, body: (store: GraphStore) => Promise<void>) => void;

/**
 * What every graph store does. `open` gives a fresh, empty store each time; so does `behindProxy`, for one that is on a
 * server.
 */
export function graphContract(
  name: string,
  open: Open,
  behindProxy: () => Promise<Opened<GraphStore>> = async () => ({ ...await open(), hang: null }),
): void {
  const test: Test = (title, body) =>
    Deno.test(`${name}: ${title}`, async () => {
      const { store, close } = await open();
      try {
        await body(store);
      } finally {
        await close();
      }
    });
  targets(test);
  expressed(test);
  engaged(test);
  wholeGraph(test);
  handlesContract(name, open, GRAPH);
  cancellationContract(name, { open: behindProxy, calls: GRAPH_CALLS, first: "counts" });
}

function digestOf(edges: Readonly<Record<string, readonly object[]>>): string {
  const digest = new SetDigest();
  for (const [kind, rows] of Object.entries(edges)) {
    for (const row of rows) digest.add([kind, { ...row } as Json]);
  }
  return digest.hex();
}

const expresses = (user_id: string, intent: string, count: number, at = 1): IntentCount => ({
  user_id,
  intent,
  count,
  last: minute(at),
});

const engages = (user_id: string, campaign_id: string, at: number, clicks = 1): Engagement => ({
  user_id,
  campaign_id,
  impressions: 2,
  clicks,
  conversions: 1,
  dismissals: 0,
  last: minute(at),
});

function targets(test: Test): void {
  test("setTargets() makes a campaign's targets exactly those given", async (store) => {
    const campaigns = [
      { campaign_id: "k1", intents: ["buy", "ask 🙂", "buy"] },
      { campaign_id: "k2", intents: ["ask 🙂"] },
    ];
    assert.equal(await store.setTargets({ campaigns }), 3);
    const both = [{ campaign_id: "k1", intent: "ask 🙂" }, { campaign_id: "k2", intent: "ask 🙂" }];
    assert.deepEqual(await store.targeting({ intents: ["ask 🙂"], limit: 10 }), both);
    assert.equal(await store.setTargets({ campaigns: [{ campaign_id: "k1", intents: ["sell"] }] }), 1);
    assert.deepEqual(await store.targeting({ intents: ["buy", "sell", "ask 🙂"], limit: 10 }), [
      { campaign_id: "k1", intent: "sell" },
      { campaign_id: "k2", intent: "ask 🙂" },
    ]);
  });

  test("targeting() is in ascending campaign and intent, up to the limit", async (store) => {
    await store.setTargets({
      campaigns: ["B", "b", "a"].map((campaign_id) => ({ campaign_id, intents: ["y", "x", "z"] })),
    });
    const found = await store.targeting({ intents: ["y", "x", "missing"], limit: 5 });
    assert.deepEqual(found.map((row) => row.campaign_id + row.intent), ["Bx", "By", "ax", "ay", "bx"]);
    assert.deepEqual(await store.targeting({ intents: [], limit: 5 }), []);
  });
}

function expressed(test: Test): void {
  test("setExpressed() makes a user's edges exactly those given, and leaves others", async (store) => {
    const first = [expresses("a", "x", 3), expresses("a", "y", 1), expresses("b", "x", 2)];
    assert.equal(await store.setExpressed({ user_ids: ["a", "b"], edges: first }), 3);
    const second = [expresses("a", "y", 4, 9), expresses("a", "z", 4)];
    assert.equal(await store.setExpressed({ user_ids: ["a"], edges: second }), 2);
    assert.deepEqual(await store.intentsOf({ user_id: "a", limit: 10 }), second);
    assert.deepEqual(await store.intentsOf({ user_id: "b", limit: 10 }), [first[2]]);
    assert.equal(await store.setExpressed({ user_ids: ["a"], edges: [] }), 0);
    assert.deepEqual(await store.intentsOf({ user_id: "a", limit: 10 }), []);
  });

  test("intentsOf() gives the most expressed first, ties by intent", async (store) => {
    const edges = [
      expresses("a", "y", 2),
      expresses("a", "x", 2),
      expresses("a", "w", 1),
      expresses("a", "z", 9),
    ];
    await store.setExpressed({ user_ids: ["a"], edges });
    const intents = async (limit: number) =>
      (await store.intentsOf({ user_id: "a", limit })).map((row) => row.intent);
    assert.deepEqual(await intents(10), ["z", "x", "y", "w"]);
    assert.deepEqual(await intents(2), ["z", "x"]);
    assert.deepEqual(await store.intentsOf({ user_id: "nobody", limit: 5 }), []);
  });
}

/** Edges of thirty users to forty campaigns, each edge with a time of its own. */
function many(): Engagement[] {
  const next = random(5);
  const edges: Engagement[] = [];
  for (let user = 0; user < 30; user++) {
    for (let k = 0; k < 40; k++) {
      if (next() < 0.3) edges.push(engages(`user-${user}`, `k-${k}`, edges.length * 7 % 1_201));
    }
  }
  return edges;
}

function newest(edges: readonly Engagement[], user_ids: readonly string[], limit: number): Engagement[] {
  return [...new Set(user_ids)].sort().flatMap((user_id) =>
    edges.filter((edge) => edge.user_id === user_id)
      .sort((a, b) => a.last < b.last ? 1 : -1).slice(0, limit)
      .sort((a, b) => a.campaign_id < b.campaign_id ? -1 : 1)
  );
}

function engaged(test: Test): void {
  test("setEngaged() makes a user's edges exactly those given, and leaves others", async (store) => {
    const first = [engages("a", "k1", 1), engages("a", "k2", 2), engages("b", "k1", 3)];
    assert.equal(await store.setEngaged({ user_ids: ["a", "b"], edges: first }), 3);
    const second = [engages("a", "k2", 5, 7), engages("a", "k3", 4)];
    assert.equal(await store.setEngaged({ user_ids: ["a"], edges: second }), 2);
    assert.deepEqual(await store.engagedBy({ user_ids: ["b", "a"], limit: 9 }), [...second, first[2]]);
    assert.equal(await store.setEngaged({ user_ids: ["a", "b"], edges: [] }), 0);
    assert.deepEqual(await store.engagedBy({ user_ids: ["a", "b"], limit: 9 }), []);
  });

  test("engagedBy() gives each user's newest, in ascending user and campaign", async (store) => {
    const edges = many();
    await store.setEngaged({ user_ids: edges.map((edge) => edge.user_id), edges });
    const user_ids = ["user-9", "user-20", "nobody", "user-0", "user-9"];
    for (const limit of [1, 5, 100]) {
      assert.deepEqual(await store.engagedBy({ user_ids, limit }), newest(edges, user_ids, limit));
    }
    assert.deepEqual(await store.engagedBy({ user_ids: [], limit: 5 }), []);
  });
}

/** One of each kind of edge and node. */
async function fill(store: GraphStore) {
  const edges = {
    expressed: [expresses("a", "x", 3), expresses("b", "y", 1)],
    engaged: [engages("a", "k1", 1), engages("c", "k9", 2)],
    targets: [{ campaign_id: "k1", intent: "x" }, { campaign_id: "k2", intent: "z" }],
  };
  await store.setExpressed({ user_ids: ["a", "b"], edges: edges.expressed });
  await store.setEngaged({ user_ids: ["a", "c"], edges: edges.engaged });
  await store.setTargets({
    campaigns: [
      { campaign_id: "k1", intents: ["x"] },
      { campaign_id: "k2", intents: ["z"] },
      { campaign_id: "k3", intents: [] },
    ],
  });
  return edges;
}

function wholeGraph(test: Test): void {
  test("counts() counts edges, the nodes that they name, and the campaigns whose targets were set", async (store) => {
    await fill(store);
    assert.deepEqual(await store.counts(), {
      users: 3,
      intents: 3,
      campaigns: 3,
      expressed: 2,
      engaged: 2,
      targets: 2,
    });
  });

  test("digest() is the sum over edges, and setting them again leaves it", async (store) => {
    assert.equal(await store.digest(), digestOf({}));
    const edges = await fill(store);
    assert.equal(await store.digest(), digestOf(edges));
    await fill(store);
    assert.equal(await store.digest(), digestOf(edges));
    await store.setExpressed({ user_ids: ["b"], edges: [expresses("b", "y", 2)] });
    assert.notEqual(await store.digest(), digestOf(edges));
  });

  test("digest() covers more edges than one page", async (store) => {
    const edges = many().concat(many().map((edge) => ({ ...edge, user_id: `${edge.user_id}-2` })));
    await store.setEngaged({ user_ids: [...new Set(edges.map((edge) => edge.user_id))], edges });
    assert.ok(edges.length > 500);
    assert.equal(await store.digest(), digestOf({ engaged: edges }));
  });

  test("deleteUsers() takes their edges", async (store) => {
    const edges = await fill(store);
    assert.equal(await store.deleteUsers({ user_ids: ["a", "nobody"] }), 2);
    const expected = { ...edges, expressed: [edges.expressed[1]!], engaged: [edges.engaged[1]!] };
    assert.equal(await store.digest(), digestOf(expected));
    assert.equal((await store.counts()).users, 2);
  });

  test("deleteCampaigns() takes their edges and the campaigns", async (store) => {
    const edges = await fill(store);
    assert.equal(await store.deleteCampaigns({ campaign_ids: ["k1", "k3", "missing"] }), 2);
    const expected = { ...edges, engaged: [edges.engaged[1]!], targets: [edges.targets[1]!] };
    assert.equal(await store.digest(), digestOf(expected));
    assert.equal((await store.counts()).campaigns, 1);
  });

  test("deleting all leaves an empty graph", async (store) => {
    await fill(store);
    await store.deleteUsers({ user_ids: ["a", "b", "c"] });
    await store.deleteCampaigns({ campaign_ids: ["k1", "k2", "k3", "k9"] });
    const none = { users: 0, intents: 0, campaigns: 0, expressed: 0, engaged: 0, targets: 0 };
    assert.deepEqual(await store.counts(), none);
    assert.equal(await store.digest(), digestOf({}));
    healthy(await store.health());
  });
}
