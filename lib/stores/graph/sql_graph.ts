import { yieldToEventLoop } from "../../core/abort.ts";
import type { Abortable } from "../../core/types.ts";
import type { Engagement } from "../analytics/port.ts";
import type { IntentCount } from "../documents/port.ts";
import {
  all,
  get,
  KEEP_LIST,
  type KeepList,
  run,
  runRows,
  type SqlDatabase,
  type Steps,
  storableJson,
} from "../engines/sql.ts";
import { SqlStore } from "../engines/sql_store.ts";
import { SqlTombstones } from "../engines/tombstones.ts";
import { graphDigest } from "./digest.ts";
import type {
  ConversationEngagement,
  EdgeType,
  EngagedConversation,
  GraphCounts,
  GraphEdges,
  GraphStore,
  Target,
  UserEdgeType,
} from "./port.ts";
import { type EdgeTable, ENGAGED, EXPRESSED, LED_TO, TARGETS, TOMBSTONES } from "./schema.ts";
import { type GraphSql, graphSql } from "./statements.ts";

/** How long counting all edges may take. */
const SCAN = { timeout_ms: 60_000 };
const CAMPAIGN = { campaign_id: "text" } as const;

/** One user's edge to a campaign, from `engagedBy`. */
type EngagedTuple = readonly [string, number, number, number, number, string];
type Edge = Readonly<Record<string, string | number>>;

/** A node whose edges are set. */
interface Node {
  readonly id: string;
  readonly edges: readonly Edge[];
}

/**
 * {@link GraphStore} in SQL. A user, conversation, intent or campaign exists if an edge names it, and a campaign also if its
 * targets were set, even to none. Edges of the same time are ordered by campaign. Deletions count edges.
 */
export class SqlGraph extends SqlStore implements GraphStore {
  readonly tombstones: SqlTombstones;
  private readonly sql: GraphSql;

  protected constructor(
    db: SqlDatabase,
    indexes: { readonly isIndexedByCampaign: boolean },
  ) {
    super(db);
    this.tombstones = new SqlTombstones(db, TOMBSTONES);
    this.sql = graphSql(db.dialect, indexes);
  }

  setTargets(
    { campaigns, signal }:
      & { campaigns: readonly { campaign_id: string; intents: readonly string[] }[] }
      & Abortable,
  ): Promise<number> {
    const byId = new Map(campaigns.map(({ campaign_id, intents }) => [campaign_id, intents]));
    const edges = [...byId].flatMap(([campaign_id, intents]) =>
      Array.from(new Set(intents), (intent) => ({ campaign_id, intent }))
    );
    const list = this.sql.listCampaign;
    const listNodes = (nodes: readonly Node[]) =>
      runRows(list, [], CAMPAIGN, nodes.map(({ id }) => ({ campaign_id: id })));
    return this.setEdges(TARGETS, { ids: [...byId.keys()], edges, signal }, listNodes);
  }

  setExpressed(
    options: { user_ids: readonly string[]; edges: readonly IntentCount[] } & Abortable,
  ): Promise<number> {
    return this.setEdges(EXPRESSED, { ids: options.user_ids, edges: options.edges, signal: options.signal });
  }

  setEngaged(
    options: { user_ids: readonly string[]; edges: readonly Engagement[] } & Abortable,
  ): Promise<number> {
    return this.setEdges(ENGAGED, { ids: options.user_ids, edges: options.edges, signal: options.signal });
  }

  setConversations(
    options: { user_ids: readonly string[]; conversations: readonly EngagedConversation[] } & Abortable,
  ): Promise<number> {
    const byId = new Map(options.conversations.map((each) => [each.conversation_id, each]));
    const edges = [...byId.values()].flatMap(({ engagement, ...whose }) =>
      engagement.map((edge) => ({ ...whose, ...edge }))
    );
    return this.setEdges(LED_TO, { ids: options.user_ids, edges, signal: options.signal });
  }

  /** Makes `edges` all edges of these nodes; returns how many there are. Edges of other nodes are left out. */
  private async setEdges(
    table: EdgeTable,
    { ids, edges, signal }: { ids: readonly string[]; edges: readonly object[] } & Abortable,
    listNodes: (nodes: readonly Node[]) => Steps<unknown> = function* () {},
  ): Promise<number> {
    const nodes = nodesOf(table, ids, edges as readonly Edge[]);
    const size = (node: Node) => node.edges.length;
    await this.db.writeEach(nodes, (group) => this.setSteps(table, group, listNodes), { size, signal });
    return nodes.reduce((sum, node) => sum + size(node), 0);
  }

  private *setSteps(
    { name, columns, owners }: EdgeTable,
    nodes: readonly Node[],
    listNodes: (nodes: readonly Node[]) => Steps<unknown>,
  ): Steps<void> {
    const { deleteOthers, put } = this.sql.edges[name]!;
    const edges = nodes.flatMap((node) => node.edges);
    const [[, other], ...others] = owners;
    const keep = [
      keepLists(other, nodes.map((node) => [node.id, node.edges])),
      ...others.map(([owner, other]) =>
        keepLists(other, Map.groupBy(edges, (edge) => edge[owner] as string))
      ),
    ];
    yield* this.db.dialect.lockNames(keep.flatMap((each) => each.map(({ owner }) => owner)));
    yield* listNodes(nodes);
    for (const [at, sql] of deleteOthers.entries()) yield* runRows(sql, [], KEEP_LIST, keep[at]!);
    yield* runRows(put, [], columns, edges);
  }

  engagedIn(
    { conversation_ids, signal }: { conversation_ids: readonly string[] } & Abortable,
  ): Promise<ConversationEngagement[]> {
    return this.db.query(() => all(this.sql.engagedIn, storableJson(conversation_ids)), { signal });
  }

  async engagedBy(
    { user_ids, limit, signal }: { user_ids: readonly string[]; limit: number } & Abortable,
  ): Promise<Engagement[]> {
    const users = await this.db.query(
      () => all<{ user_id: string; edges: string }>(this.sql.engagedBy, storableJson(user_ids), limit),
      { signal },
    );
    return users.flatMap(({ user_id, edges }) =>
      (JSON.parse(edges) as EngagedTuple[]).map((edge) => engagement(user_id, edge))
    );
  }

  intentsOf(
    { user_id, limit, signal }: { user_id: string; limit: number } & Abortable,
  ): Promise<IntentCount[]> {
    return this.db.query(() => all(this.sql.intentsOf, user_id, limit), { signal });
  }

  targeting(
    { intents, limit, signal }: { intents: readonly string[]; limit: number } & Abortable,
  ): Promise<Target[]> {
    return this.db.query(() => all(this.sql.targeting, storableJson(intents), limit), { signal });
  }

  async deleteUsers({ user_ids, signal }: { user_ids: readonly string[] } & Abortable): Promise<number> {
    const deleted = await this.db.writeEach(user_ids, (ids) => this.deleteSteps(this.sql.deleteUsers, ids), {
      signal,
    });
    await this.db.scrub();
    return sum(deleted);
  }

  async deleteCampaigns(
    { campaign_ids, signal }: { campaign_ids: readonly string[] } & Abortable,
  ): Promise<number> {
    const ids = storableJson(campaign_ids);
    let engagement = 0;
    for (const sql of this.sql.deleteEngagement) {
      for (let after: string | null = ""; after !== null;) {
        const from: string = after;
        const part = await this.db.write(() => this.deletePartSteps(sql, ids, from), { signal });
        engagement += part.deleted;
        after = part.node;
      }
    }
    const { deleteTargets, unlistCampaigns } = this.sql;
    const steps = this.deleteSteps.bind(this);
    const targets = await this.db.writeEach(campaign_ids, function* (ids) {
      const deleted = yield* steps([deleteTargets], ids);
      yield* run(unlistCampaigns, storableJson(ids));
      return deleted;
    }, { signal });
    return engagement + sum(targets);
  }

  /** Returns the last node of the part, or null if no nodes are left. */
  private *deletePartSteps(
    { partEnd, deletePart }: GraphSql["deleteEngagement"][number],
    ids: string,
    after: string,
  ): Steps<{ node: string | null; deleted: number }> {
    const { node } = (yield* get<{ node: string | null }>(partEnd, ids, after))!;
    return { node, deleted: node === null ? 0 : yield* run(deletePart, ids, after, node) };
  }

  private *deleteSteps(statements: readonly string[], ids: readonly string[]): Steps<number> {
    yield* this.db.dialect.lockNames(ids);
    let changes = 0;
    for (const sql of statements) changes += yield* run(sql, storableJson(ids));
    return changes;
  }

  counts({ signal }: Abortable = {}): Promise<GraphCounts> {
    const { counts } = this.sql;
    return this.db.read(function* () {
      return (yield* get<GraphCounts>(counts))!;
    }, { ...SCAN, signal });
  }

  async isEmpty(options: Abortable = {}): Promise<boolean> {
    return await this.db.query(() => get(this.sql.isFilled), options) === null;
  }

  digest(options: Abortable = {}): Promise<string> {
    return graphDigest(this, options);
  }

  async *edges<Type extends EdgeType>(
    { type, ...options }: { type: Type } & Abortable,
  ): AsyncGenerator<GraphEdges[Type]> {
    const { ownerPage, ofOwners } = this.sql.edges[type]!;
    for (let after = "";;) {
      await yieldToEventLoop(options);
      const page = await this.db.query(() => all<{ id: string }>(ownerPage, after), options);
      if (page.length === 0) return;
      const ids = page.map(({ id }) => id);
      after = ids.at(-1)!;
      const edges = await this.db.query(() => all<Edge>(ofOwners, storableJson(ids)), options);
      yield* (type === "targets" ? targetsOf(ids, edges) : edges) as GraphEdges[Type][];
    }
  }

  edgesOf<Type extends UserEdgeType>(
    { type, user_ids, signal }: { type: Type; user_ids: readonly string[] } & Abortable,
  ): Promise<GraphEdges[Type][]> {
    const { ofOwners } = this.sql.edges[type]!;
    return this.db.query(() => all<GraphEdges[Type]>(ofOwners, storableJson(user_ids)), { signal });
  }
}

/** The intents of each of these campaigns. */
function targetsOf(ids: readonly string[], edges: readonly Edge[]): GraphEdges["targets"][] {
  const intents = Map.groupBy(edges, (edge) => edge.campaign_id);
  return ids.map((campaign_id) => ({
    campaign_id,
    intents: (intents.get(campaign_id) ?? []).map(({ intent }) => intent as string),
  }));
}

/** Each node once, with its edges. */
function nodesOf(
  { owners: [[owner]] }: EdgeTable,
  ids: readonly string[],
  edges: readonly Edge[],
): Node[] {
  const byNode = Map.groupBy(edges, (edge) => edge[owner] as string);
  return [...new Set(ids)].map((id) => ({ id, edges: byNode.get(id) ?? [] }));
}

/** What these owners keep, by the column in which their edges differ. */
function keepLists(
  other: string,
  owners: Iterable<readonly [owner: string, edges: readonly Edge[]]>,
): KeepList[] {
  const textsOf = (edges: readonly Edge[]) => [...new Set(edges.map((edge) => edge[other]))];
  return Array.from(owners, ([owner, edges]) => ({ owner, texts: storableJson(textsOf(edges)) }));
}

function engagement(user_id: string, edge: EngagedTuple): Engagement {
  const [campaign_id, impressions, clicks, conversions, dismissals, last] = edge;
  return { user_id, campaign_id, impressions, clicks, conversions, dismissals, last };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}
