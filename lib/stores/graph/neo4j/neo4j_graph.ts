import { abortable } from "../../../core/abort.ts";
import { groupRows } from "../../../core/batches.ts";
import { compareText } from "../../../core/text.ts";
import type { Abortable, Health, JsonObject, PageOptions } from "../../../core/types.ts";
import type { Engagement } from "../../analytics/port.ts";
import type { IntentCount } from "../../documents/port.ts";
import { Neo4jConnection, type Neo4jOptions } from "./connection.ts";
import * as cypher from "./cypher.ts";
import { graphDigest } from "../digest.ts";
import type {
  ConversationEngagement,
  EdgeType,
  EngagedConversation,
  GraphCounts,
  GraphEdges,
  GraphStore,
  Target,
  UserEdgeType,
} from "../port.ts";
import type { TombstoneStore } from "../../tombstones/port.ts";
import { ServerStore } from "../../engines/server_store.ts";

/** Edges that one transaction sets or deletes, about. */
const BATCH = 1_000;
/** How long reading the whole graph may take. */
const SCAN_TIMEOUT_MS = 600_000;

/** One user's edge to a campaign, from `ENGAGED_BY`. */
type EngagedTuple = readonly [string, number, number, number, number, string];
/** One conversation's edge to a campaign, from `ENGAGED_IN`. */
type LedToTuple = readonly [string, number, number, number, number];

/** A node whose edges are set. */
interface Owner<Edge> {
  readonly id: string;
  readonly edges: readonly Edge[];
}

/**
 * {@link GraphStore} in Neo4j, in one namespace of one database. Connects at the first call; creates its constraints
 * before the first write. Times are kept as ISO 8601 text, which loses nothing and sorts.
 *
 * As in the embedded store, a user, conversation, intent or campaign exists if an edge names it, and a campaign also if
 * its targets were set. Users without edges are deleted; the other nodes stay for the next edge and are not counted.
 * The server overwrites deleted records when it needs their space, and keeps transaction logs as it is configured to.
 */
export class Neo4jGraph extends ServerStore implements GraphStore {
  readonly tombstones: TombstoneStore = {
    add: async (options) => {
      for (const hashes of chunks(options.hashes, BATCH)) {
        await this.write((run) => run(cypher.TOMBSTONES.add, { hashes }), options);
      }
    },
    page: (options) => this.hashes(cypher.TOMBSTONES.page, pageOf(options), options),
    among: (options) => this.hashes(cypher.TOMBSTONES.among, { hashes: options.hashes }, options),
    remove: async (options) => {
      await this.write((run) => run(cypher.TOMBSTONES.remove, { hashes: options.hashes }), options);
    },
  };
  private readonly connection: Neo4jConnection;
  private readonly namespace: string;
  private schema: Promise<void> | null = null;

  /** Throws `invalid` for a URL that is wrong; all other errors come from the first call. */
  constructor(options: Neo4jOptions) {
    super();
    this.connection = new Neo4jConnection(options);
    this.namespace = this.connection.address.namespace;
  }

  async setTargets(
    options: { campaigns: readonly { campaign_id: string; intents: readonly string[] }[] } & Abortable,
  ): Promise<number> {
    const campaigns = options.campaigns.map(({ campaign_id, intents }) => ({
      id: campaign_id,
      edges: [...new Set(intents)].map((intent) => ({ campaign_id, intent })),
    }));
    return await this.setEdges(campaigns, "intent", options, async (run, { owners, edges }) => {
      await run(cypher.LIST_CAMPAIGNS, { campaigns: owners });
      await run(cypher.PUT_TARGETS, { edges });
    });
  }

  async setExpressed(
    options: { user_ids: readonly string[]; edges: readonly IntentCount[] } & Abortable,
  ): Promise<number> {
    return await this.setEdges(
      edgesByUser(options),
      "intent",
      options,
      async (run, { owners: users, edges }) => {
        await run(cypher.TRIM_EXPRESSED, { users });
        await run(cypher.PUT_EXPRESSED, { edges });
        await run(cypher.DROP_USERS, { users });
      },
    );
  }

  async setEngaged(
    options: { user_ids: readonly string[]; edges: readonly Engagement[] } & Abortable,
  ): Promise<number> {
    return await this.setEdges(
      edgesByUser(options),
      "campaign_id",
      options,
      async (run, { owners: users, edges }) => {
        await run(cypher.TRIM_ENGAGED, { users });
        await run(cypher.PUT_ENGAGED, { edges });
        await run(cypher.DROP_USERS, { users });
      },
    );
  }

  async setConversations(
    options: { user_ids: readonly string[]; conversations: readonly EngagedConversation[] } & Abortable,
  ): Promise<number> {
    const edges = options.conversations.flatMap(({ engagement, ...whose }) =>
      engagement.map((edge) => ({ ...whose, ...edge }))
    );
    const owners = edgesByUser({ user_ids: options.user_ids, edges });
    return await this.setEdges(owners, "campaign_id", options, async (run, { owners: users, edges }) => {
      const conversations = [...Map.groupBy(edges, (edge) => edge.conversation_id)].map(([id, own]) => ({
        id,
        user_id: own[0]!.user_id,
        kept: own.map((edge) => edge.campaign_id),
      }));
      await run(cypher.TRIM_CONVERSATIONS, { users, kept: conversations.map(({ id }) => id) });
      await run(cypher.TRIM_HAD, { conversations });
      await run(cypher.TRIM_LED_TO, { conversations });
      await run(cypher.PUT_LED_TO, { edges });
      await run(cypher.DROP_USERS, { users });
    });
  }

  /** Sets all edges of each owner, in one transaction for each batch; `other` is the field with the other end of an edge. */
  private async setEdges<Edge extends { readonly [name in Other]: string }, Other extends string>(
    all: readonly Owner<Edge>[],
    other: Other,
    options: Abortable,
    set: (run: Run, batch: { owners: JsonObject[]; edges: Edge[] }) => Promise<void>,
  ): Promise<number> {
    let total = 0;
    for (const batch of groupRows(all, BATCH, ({ edges }) => edges.length)) {
      const owners = batch.map(({ id, edges }) => ({
        id,
        sort: cypher.sortKey(id),
        kept: edges.map((edge) => edge[other]),
      }));
      // In an order that all writers share, so that they wait for each other instead of deadlocking.
      const edges = batch.flatMap((owner) => owner.edges)
        .sort((a, b) => compareText(a[other], b[other]))
        .map((edge) => ({ ...edge, sort: cypher.sortKey(edge[other]) }));
      await this.write((run) => set(run, { owners, edges }), options);
      total += edges.length;
    }
    return total;
  }

  async engagedBy(
    options: { user_ids: readonly string[]; limit: number } & Abortable,
  ): Promise<Engagement[]> {
    const users = await this.read<{ user_id: string; edges: EngagedTuple[] }>(cypher.ENGAGED_BY, {
      user_ids: [...new Set(options.user_ids)],
      limit: options.limit,
    }, options);
    return users.sort((a, b) => compareText(a.user_id, b.user_id)).flatMap(({ user_id, edges }) =>
      edges.sort(([a], [b]) => compareText(a, b)).map((edge) => engagement(user_id, edge))
    );
  }

  async engagedIn(
    options: { conversation_ids: readonly string[] } & Abortable,
  ): Promise<ConversationEngagement[]> {
    const conversations = await this.read<
      { conversation_id: string; user_id: string; edges: LedToTuple[] }
    >(cypher.ENGAGED_IN, { conversation_ids: [...new Set(options.conversation_ids)] }, options);
    return conversations.sort((a, b) => compareText(a.conversation_id, b.conversation_id))
      .flatMap(({ edges, ...whose }) =>
        edges.sort(([a], [b]) => compareText(a, b)).map((edge) => ({ ...whose, ...ledTo(edge) }))
      );
  }

  async intentsOf(options: { user_id: string; limit: number } & Abortable): Promise<IntentCount[]> {
    return await this.read<IntentCount>(
      cypher.INTENTS_OF,
      { user_id: options.user_id, limit: options.limit },
      options,
    );
  }

  async targeting(options: { intents: readonly string[]; limit: number } & Abortable): Promise<Target[]> {
    return await this.read<Target>(cypher.TARGETING, {
      intents: [...new Set(options.intents)],
      limit: options.limit,
    }, options);
  }

  async deleteUsers(options: { user_ids: readonly string[] } & Abortable): Promise<number> {
    let deleted = 0;
    for (const ids of chunks([...new Set(options.user_ids)], BATCH / 10)) {
      deleted += await this.write(async (run) => {
        const led_to = await deletedBy(run, cypher.DELETE_CONVERSATIONS, { ids });
        return led_to + await deletedBy(run, cypher.DELETE_USERS, { ids });
      }, options);
    }
    return deleted;
  }

  async deleteCampaigns(options: { campaign_ids: readonly string[] } & Abortable): Promise<number> {
    let deleted = 0;
    for (const ids of chunks([...new Set(options.campaign_ids)], BATCH / 10)) {
      let last: number;
      do {
        last = await this.write(
          (run) => deletedBy(run, cypher.DELETE_ENGAGED, { ids, limit: BATCH }),
          options,
        );
        deleted += last;
      } while (last === BATCH);
      deleted += await this.write((run) => deletedBy(run, cypher.DELETE_CAMPAIGNS, { ids }), options);
    }
    return deleted;
  }

  async counts(options: Abortable = {}): Promise<GraphCounts> {
    const counts: Record<string, number> = {};
    for (const [name, statement] of Object.entries(cypher.COUNTS)) {
      const [row] = await this.read<{ count: number }>(statement, {}, { ...options, ms: SCAN_TIMEOUT_MS });
      counts[name] = row!.count;
    }
    return counts as unknown as GraphCounts;
  }

  async isEmpty(options: Abortable = {}): Promise<boolean> {
    const [row] = await this.read<{ empty: boolean }>(cypher.IS_EMPTY, {}, options);
    return row!.empty;
  }

  digest(options: Abortable = {}): Promise<string> {
    return graphDigest(this, options);
  }

  async *edges<Type extends EdgeType>(
    { type, ...options }: { type: Type } & Abortable,
  ): AsyncGenerator<GraphEdges[Type]> {
    const scan = { ...options, ms: SCAN_TIMEOUT_MS };
    const nodes = await this.read<{ id: string }>(cypher.OWNERS[type], {}, scan);
    for (const some of chunks(nodes, BATCH / 10)) {
      const ids = some.map(({ id }) => id);
      const rows = await this.read<GraphEdges[EdgeType]>(cypher.EDGES[type], { ids }, scan);
      const owner = (row: GraphEdges[EdgeType]) => "user_id" in row ? row.user_id : row.campaign_id;
      // The server may join in another order than that of the ids.
      yield* rows.sort((a, b) => compareText(owner(a), owner(b))) as GraphEdges[Type][];
    }
  }

  async edgesOf<Type extends UserEdgeType>(
    { type, user_ids, ...options }: { type: Type; user_ids: readonly string[] } & Abortable,
  ): Promise<GraphEdges[Type][]> {
    const rows = await this.read<GraphEdges[UserEdgeType]>(cypher.EDGES[type], { ids: user_ids }, options);
    return rows.sort((a, b) => compareText(a.user_id, b.user_id)) as GraphEdges[Type][];
  }

  private async hashes(statement: string, parameters: object, options: Abortable): Promise<string[]> {
    return (await this.read<{ hash: string }>(statement, parameters, options)).map(({ hash }) => hash);
  }

  async health(options: Abortable = {}): Promise<Health> {
    const version = await this.connection.version(options);
    const start = performance.now();
    await this.read("RETURN 1 AS one", {}, options);
    return { adapter: "neo4j", version, latency_ms: performance.now() - start, bytes: null };
  }

  close(): Promise<void> {
    return this.connection.close();
  }

  private async read<Row>(
    statement: string,
    parameters: object,
    options: { ms?: number } & Abortable,
  ): Promise<Row[]> {
    return await this.connection.read(async (tx) => {
      const { records } = await tx.run(statement, { ...parameters, namespace: this.namespace });
      return records.map((record) => record.toObject() as Row);
    }, options);
  }

  private async write<T>(work: (run: Run) => Promise<T>, options: Abortable): Promise<T> {
    await abortable(options.signal, () => this.ensureSchema());
    return await this.connection.write((tx) =>
      work(async (statement, parameters) => {
        const { records } = await tx.run(statement, { ...parameters, namespace: this.namespace });
        return records.map((record) => record.toObject());
      }), options);
  }

  /** Once for all calls, so that an aborted call does not abort it. */
  private ensureSchema(): Promise<void> {
    return this.schema ??= this.createSchema().catch((error) => {
      this.schema = null;
      throw error;
    });
  }

  /** One transaction for each constraint, since a server may lack the memory for the locks of all. */
  private async createSchema(): Promise<void> {
    for (const statement of cypher.SCHEMA) {
      await this.connection.write((tx) => tx.run(statement));
    }
  }
}

function pageOf({ after, limit }: PageOptions) {
  return { after: after ?? "", limit };
}

type Run = (statement: string, parameters: object) => Promise<JsonObject[]>;

async function deletedBy(run: Run, statement: string, parameters: object): Promise<number> {
  const [row] = await run(statement, parameters);
  return row!.gone as number;
}

/** Each user once, with their edges. Edges of other users are left out. */
function edgesByUser<Edge extends { readonly user_id: string }>(
  options: { user_ids: readonly string[]; edges: readonly Edge[] },
): Owner<Edge>[] {
  const edges = Map.groupBy(options.edges, (edge) => edge.user_id);
  return [...new Set(options.user_ids)].map((id) => ({ id, edges: edges.get(id) ?? [] }));
}

function* chunks<T>(items: readonly T[], size: number): Generator<T[]> {
  for (let start = 0; start < items.length; start += size) yield items.slice(start, start + size);
}

function ledTo([campaign_id, impressions, clicks, conversions, dismissals]: LedToTuple) {
  return { campaign_id, impressions, clicks, conversions, dismissals };
}

function engagement(user_id: string, edge: EngagedTuple): Engagement {
  const [campaign_id, impressions, clicks, conversions, dismissals, last] = edge;
  return { user_id, campaign_id, impressions, clicks, conversions, dismissals, last };
}

/** Removes all nodes of the URL's namespace, with their edges. */
export async function clearNeo4j({ url }: { url: URL }): Promise<void> {
  const connection = new Neo4jConnection({ url });
  const parameters = { namespace: connection.address.namespace, limit: BATCH };
  try {
    for (let deleted = BATCH; deleted === BATCH;) {
      const { records } = await connection.write((tx) => tx.run(cypher.DELETE_NODES, parameters));
      deleted = Number(records[0]!.get("gone"));
    }
  } finally {
    await connection.close();
  }
}
