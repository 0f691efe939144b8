import assert from "node:assert/strict";
import { healthy } from "./health.ts";
import { canonicalJson } from "../../lib/core/json.ts";
import type { Json } from "../../lib/core/types.ts";
import type { Engagement } from "../../lib/stores/analytics/port.ts";
import { SetDigest } from "../../lib/stores/engines/set_digest.ts";
import { SqliteGraph } from "../../lib/stores/graph/sqlite/sqlite_graph.ts";
import type { IntentCount } from "../../lib/stores/documents/port.ts";
import type {
  ConversationEngagement,
  EdgeType,
  EngagedConversation,
  GraphStore,
} from "../../lib/stores/graph/port.ts";
import type { Handles } from "../fixtures/handles.ts";
import { minute, random } from "../fixtures/rows.ts";
import { GRAPH_CALLS } from "./calls.ts";
import { cancellationContract, type Opened } from "./cancellation.ts";
import { GRAPH, handlesContract } from "./handles.ts";
import { checkTombstones } from "./tombstones.ts";

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
  conversations(test);
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
  test("setTargets() replaces a campaign's targets", async (store) => {
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
  test("setExpressed() replaces a user's edges and no others", async (store) => {
    const first = [expresses("a", "x", 3), expresses("a", "y", 1), expresses("b", "x", 2)];
    assert.equal(await store.setExpressed({ user_ids: ["a", "b"], edges: first }), 3);
    const second = [expresses("a", "y", 4, 9), expresses("a", "z", 4)];
    assert.equal(await store.setExpressed({ user_ids: ["a"], edges: second }), 2);
    assert.deepEqual(await store.intentsOf({ user_id: "a", limit: 10 }), second);
    assert.deepEqual(await store.intentsOf({ user_id: "b", limit: 10 }), [first[2]]);
    assert.equal(await store.setExpressed({ user_ids: ["a"], edges: [] }), 0);
    assert.deepEqual(await store.intentsOf({ user_id: "a", limit: 10 }), []);
  });

  test("intentsOf() returns the most expressed first, ties by intent", async (store) => {
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
  test("setEngaged() replaces a user's edges and no others", async (store) => {
    const first = [engages("a", "k1", 1), engages("a", "k2", 2), engages("b", "k1", 3)];
    assert.equal(await store.setEngaged({ user_ids: ["a", "b"], edges: first }), 3);
    const second = [engages("a", "k2", 5, 7), engages("a", "k3", 4)];
    assert.equal(await store.setEngaged({ user_ids: ["a"], edges: second }), 2);
    assert.deepEqual(await store.engagedBy({ user_ids: ["b", "a"], limit: 9 }), [...second, first[2]]);
    assert.equal(await store.setEngaged({ user_ids: ["a", "b"], edges: [] }), 0);
    assert.deepEqual(await store.engagedBy({ user_ids: ["a", "b"], limit: 9 }), []);
  });

  test("engagedBy() returns campaigns that were only shown last, however new they are", async (store) => {
    const shown = [7, 8, 9].map((at) => ({ ...engages("a", `shown-${at}`, at, 0), conversions: 0 }));
    const clicked = { ...engages("a", "clicked", 2), conversions: 0 };
    const converted = engages("a", "converted", 1, 0);
    await store.setEngaged({ user_ids: ["a"], edges: [...shown, clicked, converted] });
    const of = async (limit: number) =>
      (await store.engagedBy({ user_ids: ["a"], limit })).map(({ campaign_id }) => campaign_id);
    assert.deepEqual(await of(1), ["clicked"]);
    assert.deepEqual(await of(3), ["clicked", "converted", "shown-9"]);
    assert.deepEqual(await of(9), ["clicked", "converted", "shown-7", "shown-8", "shown-9"]);
  });

  test("engagedBy() returns each user's newest, in ascending user and campaign", async (store) => {
    const edges = many();
    await store.setEngaged({ user_ids: edges.map((edge) => edge.user_id), edges });
    const user_ids = ["user-9", "user-20", "nobody", "user-0", "user-9"];
    for (const limit of [1, 5, 100]) {
      assert.deepEqual(await store.engagedBy({ user_ids, limit }), newest(edges, user_ids, limit));
    }
    assert.deepEqual(await store.engagedBy({ user_ids: [], limit: 5 }), []);
  });
}

const ledTo = (campaign_id: string, clicks = 1): EngagedConversation["engagement"][number] => ({
  campaign_id,
  impressions: 2,
  clicks,
  conversions: 0,
  dismissals: 3,
});

function conversation(
  conversation_id: string,
  user_id: string,
  ...engagement: EngagedConversation["engagement"]
): EngagedConversation {
  return { conversation_id, user_id, engagement };
}

/** What `engagedIn` and `digest` give of these, in ascending conversation and campaign. */
function rowsOf(...conversations: readonly EngagedConversation[]): ConversationEngagement[] {
  return conversations.flatMap(({ engagement, ...whose }) =>
    engagement.map((edge) => ({ ...whose, ...edge }))
  );
}

function conversations(test: Test): void {
  const ids = ["v3", "missing", "v1", "v2 🙂", "v4", "v1"];
  const engagedIn = (store: GraphStore) => store.engagedIn({ conversation_ids: ids });

  test("setConversations() replaces a user's conversations and no others", async (store) => {
    const [v1, v2] = [
      conversation("v1", "a", ledTo("k1"), ledTo("k2")),
      conversation("v2 🙂", "a", ledTo("k1")),
    ];
    const other = conversation("v3", "b", ledTo("k1"));
    assert.equal(await store.setConversations({ user_ids: ["a", "b"], conversations: [v2, other, v1] }), 4);
    assert.deepEqual(await engagedIn(store), rowsOf(v1, v2, other));
    const changed = conversation("v1", "a", ledTo("k2", 7), ledTo("k3"));
    const added = conversation("v4", "a", ledTo("k1"));
    for (const _ of [1, 2]) {
      assert.equal(await store.setConversations({ user_ids: ["a"], conversations: [changed, added] }), 3);
      assert.deepEqual(await engagedIn(store), rowsOf(changed, other, added));
    }
    assert.equal(await store.setConversations({ user_ids: ["a", "nobody"], conversations: [] }), 0);
    assert.deepEqual(await engagedIn(store), rowsOf(other));
  });

  test("setConversations() omits conversations without engagement, and of users that are not set", async (store) => {
    const conversations = [conversation("v1", "a"), conversation("v3", "b", ledTo("k1"))];
    assert.equal(await store.setConversations({ user_ids: ["a"], conversations }), 0);
    assert.deepEqual(await engagedIn(store), []);
    assert.equal((await store.counts()).conversations, 0);
  });

  test("setConversations() moves a conversation to its new user, in any order of the users", async (store) => {
    const before = conversation("v1", "a", ledTo("k1"), ledTo("k2"));
    const after = conversation("v1", "b", ledTo("k2", 5));
    await store.setConversations({ user_ids: ["a"], conversations: [before] });
    await store.setConversations({ user_ids: ["b"], conversations: [after] });
    await store.setConversations({ user_ids: ["a"], conversations: [] });
    assert.deepEqual(await engagedIn(store), rowsOf(after));
    assert.deepEqual(await store.counts(), { ...NOTHING, users: 1, conversations: 1, led_to: 1 });
    await store.setConversations({ user_ids: ["a", "b"], conversations: [before] });
    assert.deepEqual(await engagedIn(store), rowsOf(before));
  });

  test("engagedIn() is in ascending conversation and campaign, and empty for no ids", async (store) => {
    const all = ["B", "b", "a", "é", "\ue000", "🙂"].map((id) =>
      conversation(
        id,
        `of ${id}`,
        ...["k2", "K1", "k1", "🙂", "\ue000"].map((campaign_id) => ledTo(campaign_id)),
      )
    );
    const user_ids = all.map(({ user_id }) => user_id);
    assert.equal(await store.setConversations({ user_ids, conversations: all }), 30);
    const found = await store.engagedIn({
      conversation_ids: all.map(({ conversation_id }) => conversation_id),
    });
    const order = (names: string[]) => [...new Set(names)];
    assert.deepEqual(order(found.map((row) => row.conversation_id)), ["B", "a", "b", "é", "\ue000", "🙂"]);
    for (const { conversation_id } of all) {
      const own = found.filter((row) => row.conversation_id === conversation_id);
      assert.deepEqual(own.map((row) => row.campaign_id), ["K1", "k1", "k2", "\ue000", "🙂"]);
    }
    assert.deepEqual(await store.engagedIn({ conversation_ids: [] }), []);
  });
}

const NOTHING = {
  users: 0,
  intents: 0,
  campaigns: 0,
  conversations: 0,
  expressed: 0,
  engaged: 0,
  led_to: 0,
  targets: 0,
};

const HAD = [
  conversation("v1", "a", ledTo("k1"), ledTo("k4")),
  conversation("v2", "d", ledTo("k1")),
];

/** One of each kind of edge and node. */
async function fill(store: GraphStore) {
  const edges = {
    expressed: [expresses("a", "x", 3), expresses("b", "y", 1)],
    engaged: [engages("a", "k1", 1), engages("c", "k9", 2)],
    led_to: rowsOf(...HAD),
    targets: [{ campaign_id: "k1", intent: "x" }, { campaign_id: "k2", intent: "z" }],
  };
  await store.setExpressed({ user_ids: ["a", "b"], edges: edges.expressed });
  await store.setEngaged({ user_ids: ["a", "c"], edges: edges.engaged });
  await store.setConversations({ user_ids: ["a", "d"], conversations: HAD });
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
  test("counts() counts edges, their nodes, and campaigns whose targets were set", async (store) => {
    await fill(store);
    assert.deepEqual(await store.counts(), {
      users: 4,
      intents: 3,
      campaigns: 3,
      conversations: 2,
      expressed: 2,
      engaged: 2,
      led_to: 3,
      targets: 2,
    });
  });

  for (
    const [what, put] of [
      ["a campaign", (store) => store.setTargets({ campaigns: [{ campaign_id: "k", intents: [] }] })],
      ["a target", (store) => store.setTargets({ campaigns: [{ campaign_id: "k", intents: ["x"] }] })],
      [
        "an intent of a user",
        (store) => store.setExpressed({ user_ids: ["b"], edges: [expresses("b", "y", 2)] }),
      ],
      [
        "engagement",
        (store) => store.setEngaged({ user_ids: [many()[0]!.user_id], edges: many().slice(0, 1) }),
      ],
      [
        "a conversation",
        (store) =>
          store.setConversations({
            user_ids: ["d"],
            conversations: [conversation("v", "d", ledTo("k1", 2))],
          }),
      ],
    ] as [string, (store: GraphStore) => Promise<unknown>][]
  ) {
    test(`isEmpty() is false from ${what} on`, async (store) => {
      assert.equal(await store.isEmpty(), true);
      await put(store);
      assert.equal(await store.isEmpty(), false);
    });
  }

  test("edges() returns all edges, grouped by user or campaign, and campaigns without targets", async (store) => {
    const { expressed, engaged, led_to } = await fill(store);
    await store.setTargets({ campaigns: [{ campaign_id: "none", intents: [] }] });
    const byText = <Row>(rows: readonly Row[]) => rows.map((row) => canonicalJson(row as Json)).sort();
    const all = async <Type extends EdgeType>(type: Type) => await Array.fromAsync(store.edges({ type }));
    const users = { expressed, engaged, led_to };
    for (const type of ["expressed", "engaged", "led_to"] as const) {
      const found = await all(type);
      assert.deepEqual(byText<unknown>(found), byText<unknown>(users[type]), type);
      const owners = found.map(({ user_id }) => user_id);
      const runs = owners.filter((user_id, at) => user_id !== owners[at - 1]);
      assert.equal(runs.length, new Set(owners).size, `${type}: the edges of a user are apart`);
    }
    const targets = await all("targets");
    assert.equal(targets.length, 4);
    assert.deepEqual(targets.find(({ campaign_id }) => campaign_id === "none")?.intents, []);
    assert.equal(targets.flatMap(({ intents }) => intents).length, 2);
  });

  test("digest() is the sum over edges, and does not change if they are set again", async (store) => {
    assert.equal(await store.digest(), digestOf({}));
    const edges = await fill(store);
    assert.equal(await store.digest(), digestOf(edges));
    await fill(store);
    assert.equal(await store.digest(), digestOf(edges));
    await store.setExpressed({ user_ids: ["b"], edges: [expresses("b", "y", 2)] });
    assert.notEqual(await store.digest(), digestOf(edges));
    await fill(store);
    const other = conversation("v2", "d", ledTo("k1", 2));
    await store.setConversations({ user_ids: ["d"], conversations: [other] });
    assert.equal(await store.digest(), digestOf({ ...edges, led_to: rowsOf(HAD[0]!, other) }));
  });

  test("digest() covers more edges than one page", async (store) => {
    const edges = many().concat(many().map((edge) => ({ ...edge, user_id: `${edge.user_id}-2` })));
    await store.setEngaged({ user_ids: [...new Set(edges.map((edge) => edge.user_id))], edges });
    assert.ok(edges.length > 500);
    assert.equal(await store.digest(), digestOf({ engaged: edges }));
  });

  test("edgesOf() gives all edges of a type of these users, in ascending user", async (store) => {
    const edges = many();
    const user_ids = [...new Set(edges.map(({ user_id }) => user_id))].sort();
    await store.setEngaged({ user_ids, edges });
    const some = [user_ids[2]!, user_ids[0]!];
    const found = await store.edgesOf({ type: "engaged", user_ids: [...some, "nobody"] });
    assert.deepEqual(found.map(({ user_id }) => user_id), found.map(({ user_id }) => user_id).sort());
    const texts = (rows: readonly Engagement[]) => rows.map((row) => canonicalJson({ ...row })).sort();
    assert.deepEqual(texts(found), texts(edges.filter(({ user_id }) => some.includes(user_id))));
    assert.deepEqual(await store.edgesOf({ type: "led_to", user_ids: some }), []);
  });

  test("tombstones are sets of hashes, of which the graph counts none", async (store) => {
    await store.tombstones.add({ hashes: ["k1.0"] });
    assert.equal(await store.isEmpty(), true);
    await store.tombstones.remove({ hashes: ["k1.0"] });
    await checkTombstones(store.tombstones);
    await store.compact();
  });

  test("deleteUsers() removes their edges and conversations", async (store) => {
    const edges = await fill(store);
    assert.equal(await store.deleteUsers({ user_ids: ["a", "nobody"] }), 4);
    const expected = {
      ...edges,
      expressed: [edges.expressed[1]!],
      engaged: [edges.engaged[1]!],
      led_to: rowsOf(HAD[1]!),
    };
    assert.equal(await store.digest(), digestOf(expected));
    const { users, conversations } = await store.counts();
    assert.deepEqual([users, conversations], [3, 1]);
  });

  test("deleteCampaigns() removes the campaigns and their edges", async (store) => {
    const edges = await fill(store);
    assert.equal(await store.deleteCampaigns({ campaign_ids: ["k1", "k3", "missing"] }), 4);
    const expected = {
      ...edges,
      engaged: [edges.engaged[1]!],
      led_to: [edges.led_to[1]!],
      targets: [edges.targets[1]!],
    };
    assert.equal(await store.digest(), digestOf(expected));
    const { campaigns, conversations, users } = await store.counts();
    assert.deepEqual([campaigns, conversations, users], [1, 1, 3]);
  });

  test("deleting everything leaves an empty graph", async (store) => {
    await fill(store);
    await store.deleteUsers({ user_ids: ["a", "b", "c", "d"] });
    await store.deleteCampaigns({ campaign_ids: ["k1", "k2", "k3", "k4", "k9"] });
    assert.deepEqual(await store.counts(), NOTHING);
    assert.equal(await store.isEmpty(), true);
    assert.equal(await store.digest(), digestOf({}));
    healthy(await store.health());
  });
}

/** Texts on which UTF-16 units, UTF-8 bytes and collations disagree. */
export const AWKWARD = [
  "B",
  "a",
  "ä",
  "é",
  "e\u0301",
  "_",
  "a b",
  "a-b",
  "ab",
  "\ud7fe",
  "\ud7ff",
  "\ud7ff\ud7ff",
  "\ud7ffa",
  "\ue000",
  "\uff01",
  "\ufffd",
  "\u{10000}",
  "🙂",
  "🙂\uffe5",
  "a\uff01",
  "a🙂",
  "\u{10ffff}",
];

/** A server's store compared with the embedded one. */
export function sameGraphContract(name: string, open: Open): void {
  Deno.test(`${name} and SqliteGraph give the same answers and digest for the same edges`, async () => {
    const { store: one, close } = await open();
    const embedded = new SqliteGraph({ path: ":memory:" });
    try {
      const engaged = AWKWARD.flatMap((user) =>
        AWKWARD.map((campaign) => engages(user, campaign, campaign.length % 2))
      );
      const expressed = AWKWARD.flatMap((user_id) =>
        AWKWARD.map((intent, i) => expresses(user_id, intent, i % 3 + 1, i))
      );
      const conversations = AWKWARD.map((id) =>
        conversation(id, id, ...AWKWARD.map((campaign) => ledTo(campaign)))
      );
      const targets = AWKWARD.map((campaign_id) => ({ campaign_id, intents: AWKWARD }));
      for (const store of [embedded, one]) {
        assert.equal(await store.setEngaged({ user_ids: AWKWARD, edges: engaged }), engaged.length);
        assert.equal(await store.setExpressed({ user_ids: AWKWARD, edges: expressed }), expressed.length);
        assert.equal(await store.setConversations({ user_ids: AWKWARD, conversations }), AWKWARD.length ** 2);
        assert.equal(await store.setTargets({ campaigns: targets }), AWKWARD.length ** 2);
      }
      assert.equal(await one.digest(), await embedded.digest());
      assert.deepEqual(await one.counts(), await embedded.counts());
      const everything = { conversation_ids: AWKWARD };
      assert.deepEqual(await one.engagedIn(everything), await embedded.engagedIn(everything));
      for (const limit of [1, 7, 11, 1_000]) {
        const ask = async (store: GraphStore) => [
          await store.engagedBy({ user_ids: AWKWARD, limit }),
          await store.intentsOf({ user_id: "🙂", limit }),
          await store.targeting({ intents: AWKWARD, limit }),
        ];
        assert.deepEqual(await ask(one), await ask(embedded));
      }
    } finally {
      await close();
      await embedded.close();
    }
  });
}
