import { z } from "../../deps.ts";
import { ParleyError } from "../core/errors.ts";
import { sha256 } from "../core/hash.ts";
import { type Abortable, modelKey } from "../core/types.ts";
import { documentParts } from "./documents.ts";
import { graphParts } from "./graph.ts";
import type { Part, Role, Stores } from "./part.ts";
import { tableParts } from "./tables.ts";
import { vectorParts } from "./vectors.ts";

/** How far a move is: the parts that are done, and where the one in progress continues. */
export const MoveState = z.object({
  done: z.record(z.string(), z.number()),
  part: z.string().nullable(),
  after: z.string().nullable(),
  rows: z.number(),
});
export type MoveState = z.infer<typeof MoveState>;

export const NOT_BEGUN: MoveState = { done: {}, part: null, after: null, rows: 0 };

/** A role that was moved, with the hash of its content at both places. */
export interface MovedRole {
  readonly role: Role;
  readonly rows: number;
  readonly from: string;
  readonly to: string;
}

interface MoveOptions extends Abortable {
  readonly from: Stores;
  readonly to: Stores;
  /** The roles that are at another place. */
  readonly roles: readonly Role[];
  readonly state: MoveState;
  /** Called after each page, once it is stored. */
  onProgress(state: MoveState): void;
}

/**
 * Copies roles from one place to another, and compares their content. It continues where `state` says, and changes nothing at
 * the source. Nothing may write to the source meanwhile, else the contents differ.
 */
export async function move(options: MoveOptions): Promise<MovedRole[]> {
  const { from, to, roles, signal } = options;
  const rows = new Map<Role, number>();
  let state = options.state;
  const advance = (next: MoveState) => options.onProgress(state = next);
  for (const part of (await partsOf(from, to)).filter(({ role }) => roles.includes(role))) {
    const name = `${part.role}: ${part.name}`;
    if (state.done[name] === undefined) {
      const after = state.part === name ? state.after : null;
      advance({ ...state, part: name, after, rows: after === null ? 0 : state.rows });
      for await (const copied of part.copy({ after, ...signal && { signal } })) {
        advance({ ...state, after: copied.after, rows: state.rows + copied.rows });
        signal?.throwIfAborted();
      }
      advance({ done: { ...state.done, [name]: state.rows }, part: null, after: null, rows: 0 });
    }
    rows.set(part.role, (rows.get(part.role) ?? 0) + state.done[name]!);
  }
  const moved: MovedRole[] = [];
  for (const role of roles) {
    const [source, target] = [await digestOf(role, from, { signal }), await digestOf(role, to, { signal })];
    moved.push({ role, rows: rows.get(role) ?? 0, from: source, to: target });
  }
  return moved;
}

async function partsOf(from: Stores, to: Stores): Promise<Part[]> {
  return [
    ...documentParts(from.documents, to.documents),
    ...await vectorParts(from.vectors, to.vectors, from.analytics),
    ...graphParts(from.graph, to.graph),
    ...tableParts("analytics", from.analytics.tables, to.analytics.tables),
    ...tableParts("runs", from.runs.tables, to.runs.tables),
  ];
}

async function digestOf(role: Role, stores: Stores, options: Abortable): Promise<string> {
  if (role === "documents") return await digestOfDocuments(stores.documents, options);
  if (role === "runs" || role === "analytics") return await stores[role].tables.digest(options);
  if (role !== "vectors") return await stores[role].digest(options);
  const digests: string[] = [];
  for (const model of await stores.vectors.models()) {
    const store = await stores.vectors.forModel({ model, ...options });
    digests.push(`${modelKey(model)} ${await store.digest(options)}`);
  }
  return digests.join(", ");
}

/** The store's digest, and what that leaves out. */
async function digestOfDocuments(documents: Stores["documents"], options: Abortable): Promise<string> {
  const { quarantined } = await documents.counts(options);
  const classifier = await documents.classifier(options);
  const rest = classifier === null ? "no classifier" : `classifier ${sha256(JSON.stringify(classifier))}`;
  return `${await documents.digest(options)}, ${quarantined} quarantined, ${rest}`;
}

/** The first of these roles that has data. */
export async function filledRole(to: Stores, roles: readonly Role[]): Promise<Role | null> {
  const filled: Record<Role, () => Promise<boolean>> = {
    documents: async () => Object.values(await to.documents.counts()).some((count) => count > 0),
    vectors: async () => (await to.vectors.models()).length > 0,
    graph: async () => !await to.graph.isEmpty(),
    analytics: async () =>
      Object.values(await to.analytics.counts()).some((count) => count > 0) ||
      await to.analytics.published() !== null,
    runs: async () => (await to.runs.runs({ limit: 1 })).length > 0,
  };
  for (const role of roles) if (await filled[role]()) return role;
  return null;
}

/**
 * Throws `conflict` while a scheduler or a run writes to the source. `remedy` ends a run, also one whose process died: that one would
 * not notice its cancellation.
 */
export async function refuseInUse(
  { runs }: Pick<Stores, "runs">,
  { now, remedy }: { now: number; remedy: string },
): Promise<void> {
  const leader = await runs.leader();
  if (leader !== null && Date.parse(leader.live_until) > now) {
    throw new ParleyError(
      "conflict",
      `the scheduler of the source is running (${leader.owner}): stop Parley first`,
    );
  }
  const [running] = await runs.runs({ states: ["running"], limit: 1 });
  if (running === undefined) return;
  throw new ParleyError(
    "conflict",
    `run ${running.run_id} has not ended at the source: ${
      running.trigger === "external" ? "wait for it, or cancel it" : remedy
    }`,
  );
}
