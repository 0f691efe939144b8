import { batches } from "../../../core/batches.ts";
import type { Abortable, PageOptions } from "../../../core/types.ts";
import type { TombstoneStore } from "../../tombstones/port.ts";
import { among, MAX_VALUES, type MilvusField, type MilvusTable, quoted } from "./table.ts";

type Hashes = { hashes: readonly string[] } & Abortable;

const FIELDS: readonly MilvusField[] = [
  { name: "key", data_type: "VarChar", max_length: 128, is_primary_key: true },
];
/** Every collection must have a vector; this one is never searched. */
const DIMENSION = 2;

/** The tombstones of one model, as the keys of a collection of their own, which the first of them creates. */
export class MilvusTombstones implements TombstoneStore {
  constructor(private readonly table: MilvusTable) {}

  async add({ hashes, signal }: Hashes): Promise<void> {
    signal?.throwIfAborted();
    if (hashes.length === 0) return;
    if (!(await this.table.ready(signal))) {
      await this.table.create({ fields: FIELDS, dimension: DIMENSION, signal });
    }
    for await (const some of batches(new Set(hashes), MAX_VALUES)) {
      await this.table.upsert(some.map((key) => ({ key, vector: [1, 0] })), signal);
    }
  }

  page({ after, limit, signal }: PageOptions): Promise<string[]> {
    return this.keys({ filter: `key > ${quoted(after ?? "")}`, limit }, signal);
  }

  async among({ hashes, signal }: Hashes): Promise<string[]> {
    const found: string[] = [];
    for await (const some of batches(hashes, MAX_VALUES)) {
      found.push(...await this.keys({ filter: among("key", some) }, signal));
    }
    return found.sort();
  }

  async remove({ hashes, signal }: Hashes): Promise<void> {
    for await (const some of batches(hashes, MAX_VALUES)) await this.table.delete(among("key", some), signal);
  }

  async drop(signal: AbortSignal | undefined): Promise<void> {
    await this.table.drop(signal);
  }

  private async keys(which: { filter: string; limit?: number }, signal: AbortSignal | undefined) {
    signal?.throwIfAborted();
    const rows = await this.table.query({ ...which, fields: ["key"], freshness: "now", signal });
    return rows.map(({ key }) => String(key));
  }
}
