import type { Collection, Db } from "../../../../deps.ts";
import type { Abortable, QuarantinedRow } from "../../../core/types.ts";
import type { QuarantineFilter, QuarantinePosition, QuarantineStore, ReasonCount } from "../port.ts";
import { type MongoConnection, SCAN_MS } from "./connection.ts";

/** `_id` is the JSON of run, kind, source and position, so that each is stored once. */
interface StoredRow extends Omit<QuarantinedRow, "at"> {
  readonly _id: string;
  readonly at: Date;
}

interface RunOfRows {
  readonly _id: string;
  readonly rows: number;
}

/** Rows that are read at once. */
const PAGE = 500;

export async function indexQuarantine(db: Db): Promise<void> {
  await rowsOf(db).createIndexes([
    { key: { run_id: 1, kind: 1, source: 1, position: 1 } },
    { key: { at: 1 } },
  ]);
}

export class MongoQuarantine implements QuarantineStore {
  constructor(private readonly connection: MongoConnection) {}

  async quarantine({ rows, signal }: { rows: readonly QuarantinedRow[] } & Abortable): Promise<void> {
    signal?.throwIfAborted();
    if (rows.length === 0) return;
    const operations = rows.map((row) => ({
      updateOne: { filter: { _id: idOf(row) }, update: { $setOnInsert: stored(row) }, upsert: true },
    }));
    await this.connection.run((db) => rowsOf(db).bulkWrite(operations, { ordered: false }), { signal });
  }

  async quarantined(
    { limit, offset, signal, ...filter }: QuarantineFilter & { limit: number; offset: number } & Abortable,
  ): Promise<QuarantinedRow[]> {
    const found: QuarantinedRow[] = [];
    let skip = offset;
    for (const { _id: run_id, rows } of await this.runs(filter, { signal })) {
      const left = limit - found.length;
      if (left <= 0) break;
      if (skip < rows) found.push(...await this.ofRun({ ...filter, run_id }, { skip, limit: left, signal }));
      skip = Math.max(0, skip - rows);
    }
    return found;
  }

  async *quarantinePages({ signal, ...options }: { after: string | null } & Abortable) {
    for (let { after } = options;;) {
      const filter = after === null ? {} : { _id: { $gt: after } };
      const found = await this.connection.run(
        (db, reading) => rowsOf(db).find(filter, reading).sort({ _id: 1 }).limit(PAGE).toArray(),
        { signal },
      );
      if (found.length === 0) return;
      after = found.at(-1)!._id;
      yield { rows: found.map(({ _id, ...row }) => restored(row)), after };
    }
  }

  quarantineReasons(
    { limit, signal, ...filter }: QuarantineFilter & { limit: number } & Abortable,
  ): Promise<ReasonCount[]> {
    return this.connection.run((db, reading) =>
      rowsOf(db).aggregate<ReasonCount>([
        { $match: filter },
        { $group: { _id: { kind: "$kind", reason: "$reason" }, rows: { $sum: 1 } } },
        { $project: { _id: 0, kind: "$_id.kind", reason: "$_id.reason", rows: 1 } },
        { $sort: { rows: -1, kind: 1, reason: 1 } },
        { $limit: limit },
      ], reading).toArray(), { ms: SCAN_MS, signal });
  }

  async deleteQuarantined(
    { rows, signal }: { rows: readonly QuarantinePosition[] } & Abortable,
  ): Promise<number> {
    const filter = { _id: { $in: rows.map(idOf) } };
    const { deletedCount } = await this.connection.run((db) => rowsOf(db).deleteMany(filter), { signal });
    return deletedCount;
  }

  async pruneQuarantine({ before, signal }: { before: string } & Abortable): Promise<number> {
    const filter = { at: { $lt: new Date(before) } };
    const limits = { ms: SCAN_MS, signal };
    const { deletedCount } = await this.connection.run((db) => rowsOf(db).deleteMany(filter), limits);
    return deletedCount;
  }

  count({ signal }: Abortable): Promise<number> {
    const limits = { ms: SCAN_MS, signal };
    return this.connection.run((db, reading) => rowsOf(db).countDocuments({}, reading), limits);
  }

  /** Runs with such rows, the one with the newest row of all first. */
  private runs({ run_id, ...filter }: QuarantineFilter, { signal }: Abortable): Promise<RunOfRows[]> {
    const wanted = Object.entries(filter).map(([name, value]) => ({
      $eq: [`$${name}`, { $literal: value }],
    }));
    return this.connection.run((db, reading) =>
      rowsOf(db).aggregate<RunOfRows>([
        { $match: run_id === undefined ? {} : { run_id } },
        {
          $group: {
            _id: "$run_id",
            newest: { $max: "$at" },
            rows: { $sum: { $cond: [{ $and: wanted }, 1, 0] } },
          },
        },
        { $match: { rows: { $gt: 0 } } },
        { $sort: { newest: -1, _id: -1 } },
      ], reading).toArray(), { ms: SCAN_MS, signal });
  }

  private async ofRun(
    filter: QuarantineFilter,
    options: { skip: number; limit: number } & Abortable,
  ): Promise<QuarantinedRow[]> {
    const found = await this.connection.run(
      (db, reading) =>
        rowsOf(db).find(filter, { projection: { _id: 0 }, ...reading })
          .sort({ kind: 1, source: 1, position: 1 }).skip(options.skip).limit(options.limit).toArray(),
      options,
    );
    return found.map(restored);
  }
}

function restored(row: Omit<StoredRow, "_id">): QuarantinedRow {
  return { ...row, at: row.at.toISOString() };
}

function rowsOf(db: Db): Collection<StoredRow> {
  return db.collection("quarantine");
}

function idOf(row: QuarantinePosition): string {
  return JSON.stringify([row.run_id, row.kind, row.source, row.position]);
}

function stored(row: QuarantinedRow): Omit<StoredRow, "_id"> {
  return { ...row, at: new Date(row.at) };
}
