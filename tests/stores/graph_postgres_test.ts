import assert from "node:assert/strict";
import type { GraphStore } from "../../lib/stores/graph/port.ts";
import { PostgresGraph } from "../../lib/stores/graph/postgres/postgres_graph.ts";
import { PostgresAnalytics } from "../../lib/stores/analytics/postgres/postgres_analytics.ts";
import { clearServer } from "../../lib/stores/open.ts";
import { graphContract, sameGraphContract } from "../contracts/graph.ts";
import { handles } from "../fixtures/handles.ts";
import { engages } from "../fixtures/neo4j.ts";
import {
  ask,
  dropSchema,
  freshSchema,
  onEachPostgres,
  tableScans,
  twoHandles,
} from "../fixtures/postgres.ts";
import { campaign, minute } from "../fixtures/rows.ts";
import { proxied } from "../fixtures/tcp_proxy.ts";

onEachPostgres("PostgresGraph", suite);

const withHandles = twoHandles<GraphStore>((url) => new PostgresGraph({ url }));

function suite(server: string, name: string): void {
  const open = () => {
    const url = freshSchema(server);
    return handles(() => new PostgresGraph({ url }), () => dropSchema(url));
  };
  sameGraphContract(name, open);
  graphContract(name, open, () => {
    const direct = freshSchema(server);
    const { url, proxy } = proxied(direct, 5_432);
    const store = new PostgresGraph({ url });
    return Promise.resolve({
      store,
      hang: proxy.hang,
      close: async () => {
        await store.close();
        await proxy.close();
        await dropSchema(direct);
      },
    });
  });

  Deno.test(`${name}: of writers that set the same users or conversations at once, one is last, whole`, () =>
    withHandles(server, async (one, two) => {
      const users = Array.from({ length: 20 }, (_, i) => `u${i}`);
      const { user_id: _, last: __, ...counts } = engages("", "");
      const ledTo = (campaign_id: string) => ({ ...counts, campaign_id });
      const write = async (store: GraphStore, writer: string) => {
        const campaigns = ["x", "y"].map((each) => writer + each);
        const edges = users.flatMap((user) => campaigns.map((each) => engages(user, each)));
        await store.setEngaged({ user_ids: users, edges });
        const conversations = users.map((id, i) => ({
          conversation_id: id,
          user_id: users[(i + writer.charCodeAt(0)) % users.length]!,
          engagement: campaigns.map(ledTo),
        }));
        await store.setConversations({ user_ids: users, conversations });
      };
      for (let round = 0; round < 10; round++) {
        await Promise.all([write(one, "a"), write(two, "b"), write(one, "c")]);
        const engaged = await one.engagedBy({ user_ids: users, limit: 9 });
        const had = await two.engagedIn({ conversation_ids: users });
        for (const id of users) {
          for (
            const found of [
              engaged.filter(({ user_id }) => user_id === id),
              had.filter(({ conversation_id }) => conversation_id === id),
            ]
          ) {
            const writers = found.map(({ campaign_id }) => campaign_id[0]);
            assert.equal(writers.length, 2, `${writers}`);
            assert.equal(new Set(writers).size, 1, `${writers}`);
          }
        }
      }
    }));

  Deno.test(`${name} writes many users' edges in one statement, and equal ones not at all`, () =>
    withHandles(server, async (store, _two, url) => {
      await store.isEmpty();
      const schema = url.searchParams.get("schema");
      await ask(
        url,
        `CREATE TABLE ${schema}.statements (operation TEXT, of_rows BIGINT);
         CREATE FUNCTION ${schema}.note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           INSERT INTO statements SELECT TG_OP, count(*) FROM changed; RETURN NULL;
         END $$;
         CREATE TRIGGER inserted AFTER INSERT ON ${schema}.engaged REFERENCING NEW TABLE AS changed
           FOR EACH STATEMENT EXECUTE FUNCTION ${schema}.note();
         CREATE TRIGGER updated AFTER UPDATE ON ${schema}.engaged REFERENCING NEW TABLE AS changed
           FOR EACH STATEMENT EXECUTE FUNCTION ${schema}.note();
         CREATE TRIGGER deleted AFTER DELETE ON ${schema}.engaged REFERENCING OLD TABLE AS changed
           FOR EACH STATEMENT EXECUTE FUNCTION ${schema}.note();`,
      );
      const user_ids = Array.from({ length: 50 }, (_, i) => `u${i}`);
      const edges = user_ids.flatMap((user) => Array.from({ length: 10 }, (_, i) => engages(user, `k${i}`)));
      const statements = async () => {
        const rows = await ask<{ operation: string; of_rows: string }>(
          url,
          `WITH gone AS (DELETE FROM ${schema}.statements RETURNING *) SELECT * FROM gone ORDER BY operation`,
        );
        return rows.map(({ operation, of_rows }) => `${operation} ${of_rows}`);
      };
      await store.setEngaged({ user_ids, edges });
      assert.deepEqual(await statements(), ["DELETE 0", "INSERT 500", "UPDATE 0"]);
      await store.setEngaged({ user_ids, edges });
      assert.deepEqual(await statements(), ["DELETE 0", "INSERT 0", "UPDATE 0"]);
      await store.setEngaged({ user_ids, edges: edges.slice(0, 400) });
      assert.deepEqual(await statements(), ["DELETE 100", "INSERT 0", "UPDATE 0"]);
    }));

  Deno.test(`${name} shares a schema with analytics, and clearing it leaves theirs`, () =>
    withHandles(server, async (graph, _two, url) => {
      const analytics = new PostgresAnalytics({ url });
      try {
        await analytics.upsertCampaigns({ campaigns: [campaign({ campaign_id: "k" })] });
        await graph.setTargets({
          campaigns: [{ campaign_id: "k", intents: ["x"] }, { campaign_id: "j", intents: [] }],
        });
        assert.equal((await graph.counts()).campaigns, 2);
        await clearServer.graph(url);
        assert.equal(await graph.isEmpty(), true);
        assert.equal((await analytics.counts()).campaigns, 1);
      } finally {
        await analytics.close();
      }
    }));

  Deno.test(`${name}.deleteCampaigns() takes more edges than one transaction`, () =>
    withHandles(server, async (store) => {
      const edges = Array.from({ length: 10_100 }, (_, i) => engages(`u${i}`, "k"));
      await store.setEngaged({ user_ids: edges.map((edge) => edge.user_id), edges });
      assert.equal(await store.deleteCampaigns({ campaign_ids: ["k"] }), 10_100);
      assert.equal(await store.isEmpty(), true);
    }));

  Deno.test(`${name} scans no table for what a request or a write of some users asks`, async () => {
    const url = freshSchema(server);
    const scans = () => tableScans(url, ["engaged", "expressed", "graph_campaigns", "led_to", "targets"]);
    const filling = new PostgresGraph({ url });
    const users = Array.from({ length: 4_000 }, (_, n) => `u-${n}`);
    const edgesOf = (user: string) => Array.from({ length: 4 }, (_, n) => engages(user, `k-${user}-${n}`));
    const had = (user_id: string) => {
      const engagement = edgesOf(user_id).map(({ user_id: _, last: __, ...edge }) => edge);
      return { conversation_id: `v-${user_id}`, user_id, engagement };
    };
    const expressed = (user_id: string) => [{ user_id, intent: "x", count: 1, last: minute(1) }];
    await filling.setEngaged({ user_ids: users, edges: users.flatMap(edgesOf) });
    await filling.setExpressed({ user_ids: users, edges: users.flatMap(expressed) });
    await filling.setConversations({ user_ids: users, conversations: users.map(had) });
    await filling.setTargets({
      campaigns: users.map((user) => ({ campaign_id: `k-${user}`, intents: [`x-${user}`, "x"] })),
    });
    await ask(url, "ANALYZE");
    await filling.close();
    const before = await scans();
    const store = new PostgresGraph({ url });
    const user_ids = ["u-1", "u-2"];
    assert.equal((await store.engagedBy({ user_ids, limit: 9 })).length, 8);
    assert.equal((await store.engagedIn({ conversation_ids: ["v-u-1"] })).length, 4);
    assert.equal((await store.intentsOf({ user_id: "u-1", limit: 9 })).length, 1);
    assert.equal((await store.targeting({ intents: ["x-u-1"], limit: 9 })).length, 1);
    await store.setEngaged({ user_ids, edges: edgesOf("u-1") });
    await store.setExpressed({ user_ids, edges: expressed("u-1") });
    await store.setConversations({ user_ids, conversations: [had("u-1")] });
    await store.setTargets({ campaigns: [{ campaign_id: "k-u-1", intents: ["x"] }] });
    assert.equal(await store.deleteUsers({ user_ids }), 9);
    assert.equal(await store.deleteCampaigns({ campaign_ids: ["k-u-1", "k-u-3-0"] }), 3);
    await store.close();
    assert.deepEqual(await scans(), before);
    await dropSchema(url);
  });
}
