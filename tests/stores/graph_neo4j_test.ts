import assert from "node:assert/strict";
import { compareText } from "../../lib/core/text.ts";
import { Neo4jConnection, type Transaction } from "../../lib/stores/graph/neo4j/connection.ts";
import type { Neo4jGraph } from "../../lib/stores/graph/neo4j/neo4j_graph.ts";
import { sortKey } from "../../lib/stores/graph/neo4j/cypher.ts";
import { openGraph } from "../../lib/stores/open.ts";
import { AWKWARD, graphContract, sameGraphContract } from "../contracts/graph.ts";
import { handles } from "../fixtures/handles.ts";
import { dropNamespace, engages, neo4jServer, raw, urlOf, withStores } from "../fixtures/neo4j.ts";
import { minute } from "../fixtures/rows.ts";
import { proxied } from "../fixtures/tcp_proxy.ts";

function suite(server: string): void {
  const open = () => {
    const url = urlOf(server);
    return handles(() => openGraph(url), () => dropNamespace(url));
  };
  graphContract("Neo4jGraph", open, async () => {
    const direct = urlOf(server, (url) => url.href = url.href.replace(/^neo4j/, "bolt"));
    const { url, proxy } = proxied(direct, 7_687);
    const store = await openGraph(url);
    return {
      store,
      hang: proxy.hang,
      close: async () => {
        await store.close();
        await proxy.close();
        await dropNamespace(direct);
      },
    };
  });
  sameGraphContract("Neo4jGraph", open);
  nodes(server);
  concurrency(server);
}

function nodes(server: string): void {
  Deno.test("sortKey() orders by UTF-16 unit and by UTF-8 byte as texts are by code point", () => {
    const sorted = AWKWARD.toSorted(compareText);
    const key = (text: string) => sortKey(text) ?? text;
    assert.deepEqual(AWKWARD.toSorted((a, b) => key(a) < key(b) ? -1 : 1), sorted);
    assert.deepEqual(AWKWARD.toSorted((a, b) => compareText(key(a), key(b))), sorted);
    assert.equal(new Set(AWKWARD.map(key)).size, AWKWARD.length);
    assert.equal(sortKey("a 🙂"), null);
  });

  Deno.test("Neo4jGraph keeps one namespace out of another", async () => {
    await withStores(server, async ({ one }) => {
      await withStores(server, async ({ one: other }) => {
        await one.setEngaged({ user_ids: ["a"], edges: [engages("a", "k")] });
        await other.setEngaged({ user_ids: ["a"], edges: [engages("a", "k", 5)] });
        await one.deleteCampaigns({ campaign_ids: ["k"] });
        assert.equal((await one.counts()).engaged, 0);
        assert.deepEqual(await other.engagedBy({ user_ids: ["a"], limit: 1 }), [engages("a", "k", 5)]);
      });
    });
  });

  Deno.test("Neo4jGraph keeps no node of a user without edges, and counts as whole numbers", async () => {
    await withStores(server, async ({ one, url }) => {
      await one.setExpressed({
        user_ids: ["a"],
        edges: [{ user_id: "a", intent: "x", count: 3, last: minute(1) }],
      });
      await one.setEngaged({ user_ids: ["a", "b"], edges: [engages("a", "k"), engages("b", "k")] });
      await one.setExpressed({ user_ids: ["a"], edges: [] });
      await one.setEngaged({ user_ids: ["b"], edges: [] });
      assert.deepEqual(await raw(url, "MATCH (u:User {namespace: $namespace}) RETURN u.id AS value"), ["a"]);
      const types = "MATCH (:User {namespace: $namespace})-[r]->() RETURN valueType(r.clicks) AS value";
      assert.deepEqual(await raw(url, types), ["INTEGER NOT NULL"]);
      const { user_id: _, last: __, ...counts } = engages("c", "k");
      const had = [{ conversation_id: "v", user_id: "c", engagement: [counts] }];
      await one.setConversations({ user_ids: ["c"], conversations: had });
      const ledTo =
        "MATCH (:Conversation {namespace: $namespace})-[r]->() RETURN valueType(r.clicks) AS value";
      assert.deepEqual(await raw(url, ledTo), ["INTEGER NOT NULL"]);
      await one.setConversations({ user_ids: ["c"], conversations: [] });
      await one.deleteUsers({ user_ids: ["a"] });
      const nodes = "MATCH (n {namespace: $namespace}) WHERE n:User OR n:Conversation RETURN n.id AS value";
      assert.deepEqual(await raw(url, nodes), []);
    });
  });

  Deno.test("Neo4jGraph.deleteCampaigns() takes more edges than one transaction", async () => {
    await withStores(server, async ({ one }) => {
      const edges = Array.from({ length: 2_300 }, (_, i) => engages(`u${i}`, "k"));
      await one.setEngaged({ user_ids: edges.map((edge) => edge.user_id), edges });
      await one.setTargets({ campaigns: [{ campaign_id: "k", intents: ["x"] }] });
      assert.equal(await one.deleteCampaigns({ campaign_ids: ["k"] }), 2_301);
      assert.equal((await one.counts()).users, 0);
    });
  });
}

function concurrency(server: string): void {
  Deno.test("Neo4jConnection.write() repeats a transaction that lost a deadlock", async () => {
    const url = urlOf(server);
    const connection = new Neo4jConnection({ url });
    const { namespace } = connection.address;
    const lock = (tx: Transaction, id: string) =>
      tx.run("MATCH (n:Locked {namespace: $namespace, id: $id}) SET n.count = n.count + 1", {
        namespace,
        id,
      });
    await connection.write((tx) =>
      tx.run("UNWIND ['a', 'b'] AS id CREATE (:Locked {namespace: $namespace, id: id, count: 0})", {
        namespace,
      })
    );
    let attempts = 0;
    const both = Promise.withResolvers<void>();
    const take = (first: string, second: string) =>
      connection.write(async (tx) => {
        await lock(tx, first);
        if (++attempts === 2) both.resolve();
        await both.promise;
        await lock(tx, second);
      });
    await Promise.all([take("a", "b"), take("b", "a")]);
    assert.equal(attempts, 3, "one of the two was the deadlock's victim, once");
    assert.deepEqual(await raw(url, "MATCH (n:Locked {namespace: $namespace}) RETURN n.count AS value"), [
      2,
      2,
    ]);
    await connection.close();
    await dropNamespace(url);
  });

  Deno.test("Neo4jGraph tolerates writers that delete nodes which others are about to use", async () => {
    await withStores(server, async ({ one, two }) => {
      const ids = ["a", "b", "c"];
      const edges = ids.map((id) => engages(id, "k"));
      const churn = async (store: Neo4jGraph) => {
        for (let round = 0; round < 8; round++) {
          await store.setEngaged({ user_ids: ids, edges: round % 2 === 0 ? edges : [] });
          await store.deleteUsers({ user_ids: ids });
          await store.deleteCampaigns({ campaign_ids: ["k"] });
        }
      };
      await Promise.all([churn(one), churn(two), churn(one)]);
      await one.setEngaged({ user_ids: ids, edges });
      assert.deepEqual(await two.engagedBy({ user_ids: ids, limit: 2 }), edges);
    });
  });
}

const SERVER = neo4jServer("Neo4jGraph");
if (SERVER !== null) suite(SERVER);
