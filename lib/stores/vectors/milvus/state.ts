import { ParleyError } from "../../../core/errors.ts";
import type { ModelIdentity } from "../../../core/types.ts";
import { type Freshness, type MilvusField, quoted } from "./table.ts";
import type { MilvusTable } from "./table.ts";

/** The builds of one model's vectors. */
export interface IndexState {
  /** Null before the first write. */
  readonly model: ModelIdentity | null;
  /** The number of the next build; it is `born` of rows that are written now. Numbers are never used twice. */
  readonly next: number;
  /** The number of each data version's build. */
  readonly builds: Readonly<Record<number, number>>;
}

const EMPTY: IndexState = { model: null, next: 1, builds: {} };
const KEY = "state";
const FIELDS: readonly MilvusField[] = [
  { name: "key", data_type: "VarChar", max_length: 16, is_primary_key: true },
  { name: "value", data_type: "VarChar", max_length: 65_535 },
];
/** Every collection must have a vector; this one is never searched. */
const DIMENSION = 2;
/** How old a state that is read for a search may be. */
const CACHE_TTL_MS = 1_000;

export const notBuilt = (version: number) => `no index was built for version ${version}`;

/**
 * The state, as the one row of a collection of its own. It is written as a whole. It is not in collection properties,
 * because newer versions of Milvus refuse those that they do not know.
 */
export class MilvusState {
  private cached: { readonly state: IndexState; readonly at: number } | null = null;

  constructor(private readonly table: MilvusTable) {}

  /** The state as of now. */
  now(signal: AbortSignal | undefined): Promise<IndexState> {
    return this.read("now", signal);
  }

  /** The state, at most a second old; writes of this object are seen at once. */
  async recent(signal: AbortSignal | undefined): Promise<IndexState> {
    if (this.cached && performance.now() - this.cached.at < CACHE_TTL_MS) return this.cached.state;
    return await this.read("own", signal);
  }

  /** The number of a version's build, also one that another process has just built. */
  async buildOf(version: number, signal: AbortSignal | undefined): Promise<number> {
    const known = await this.recent(signal);
    const { builds } = known.builds[version] === undefined ? await this.now(signal) : known;
    if (builds[version] !== undefined) return builds[version];
    throw new ParleyError("not_found", notBuilt(version));
  }

  private async read(freshness: Freshness, signal: AbortSignal | undefined): Promise<IndexState> {
    const at = performance.now();
    const filter = `key == ${quoted(KEY)}`;
    const rows = await this.table.query({ filter, fields: ["value"], freshness, signal });
    const state = rows[0] ? JSON.parse(String(rows[0].value)) as IndexState : EMPTY;
    this.cached = { state, at };
    return state;
  }

  async write(state: IndexState, signal: AbortSignal | undefined): Promise<void> {
    if (!(await this.table.ready(signal))) {
      await this.table.create({ fields: FIELDS, dimension: DIMENSION, signal });
    }
    await this.table.upsert([{ key: KEY, value: JSON.stringify(state), vector: [1, 0] }], signal);
    this.cached = { state, at: performance.now() };
  }

  async drop(signal: AbortSignal | undefined): Promise<void> {
    this.cached = null;
    await this.table.drop(signal);
  }
}
