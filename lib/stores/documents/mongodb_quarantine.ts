import type { Collection, Db } from "../../../deps.ts";
import type { QuarantinedRow } from "../../core/types.ts";
import type { QuarantineFilter } from "./port.ts";
import { type MongoConnection, SCAN_MS } from "./mongodb_connection.ts";

/** `_id` is the JSON of run, kind, source and position, so that each is kept once. */
interface StoredRow extends Omit<QuarantinedRow, "at"> {
  readonly _id: string;
  readonly at: Date;
}

interface RunOfRows {
  readonly _id: string;
  readonly rows: number;
}

export async function indexQuarantine(db: Db): Promise<void> {
  await rowsOf(db).createIndexes([
    { key: { run_id: 1, kind: 1, source: 1, position: 1 } },
    { key: { at: 1 } },
  ]);
}

/** Refused rows in a collection of their own. */
export class MongoQuarantine {
  constructor(private readonly connection: MongoConnection) {}

  async add(rows: readonly QuarantinedRow[]): Promise<void> {
    if (rows.length === 0) return;
    const operations = rows.map((row) => ({
      updateOne: { filter: { _id: idOf(row) }, update: { $setOnInsert: stored(row) }, upsert: true },
    }));
    await this.connection.run((db) => rowsOf(db).bulkWrite(operations, { ordered: false }));
  }

  /** Newest run first, then by kind, source and position. */
  async list(
    { limit, offset, ...filter }: QuarantineFilter & { limit: number; offset: number },
  ): Promise<QuarantinedRow[]> {
    const listed: QuarantinedRow[] = [];
    let skip = offset;
    for (const { _id: run_id, rows } of await this.runs(filter)) {
      const left = limit - listed.length;
      if (left <= 0) break;
      if (skip < rows) listed.push(...await this.ofRun({ ...filter, run_id }, { skip, limit: left }));
      skip = Math.max(0, skip - rows);
    }
    return listed;
  }

  /** Drops rows older than this ISO time; returns how many. */
  async prune(before: string): Promise<number> {
    const filter = { at: { $lt: new Date(before) } };
    const { deletedCount } = await this.connection.run((db) => rowsOf(db).deleteMany(filter), SCAN_MS);
    return deletedCount;
  }

  count(): Promise<number> {
    return this.connection.run((db) => rowsOf(db).countDocuments(), SCAN_MS);
  }

  /** Runs with such rows, the one with the newest row of all first. */
  private runs({ run_id, ...filter }: QuarantineFilter): Promise<RunOfRows[]> {
    const wanted = Object.entries(filter).map(([name, value]) => ({
      $eq: [`$${name}`, { $literal: value }],
    }));
    return this.connection.run((db) =>
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
      ]).toArray(), SCAN_MS);
  }

  private async ofRun(
    filter: QuarantineFilter,
    o: { skip: number; limit: number },
  ): Promise<QuarantinedRow[]> {
    const found = await this.connection.run((db) =>
      rowsOf(db).find(filter, { projection: { _id: 0 } })
        .sort({ kind: 1, source: 1, position: 1 }).skip(o.skip).limit(o.limit).toArray()
    );
    return found.map((row) => ({ ...row, at: row.at.toISOString() }));
  }
}

function rowsOf(db: Db): Collection<StoredRow> {
  return db.collection("quarantine");
}

function idOf(row: QuarantinedRow): string {
  return JSON.stringify([row.run_id, row.kind, row.source, row.position]);
}

function stored(row: QuarantinedRow): Omit<StoredRow, "_id"> {
  return { ...row, at: new Date(row.at) };
}
