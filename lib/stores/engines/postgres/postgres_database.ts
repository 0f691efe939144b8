import { groupRows } from "../../../core/batches.ts";
import type { Abortable, Health } from "../../../core/types.ts";
import {
  all,
  type Dialect,
  KEEP_LIST,
  type Limits,
  type PutRows,
  type SqlDatabase,
  type Steps,
  storableJson,
  type TableByKey,
  type WriteEachOptions,
} from "../sql.ts";
import { Postgres, type PostgresOptions } from "./postgres.ts";
import { putRows } from "./put_rows.ts";
import { isIn, recordset } from "./recordset.ts";
import type { PgSession } from "./session.ts";
import { ServerStore } from "../server_store.ts";

/** Rows in a group of `writeEach`. */
const GROUP_ROWS = 1_000;
/** Rows that one transaction of `writeAll` changes at most. */
const WRITE_LIMIT = 10_000;

const DIALECT: Dialect = {
  input: (columns, parameters) => recordset(`$${parameters + 1}`, columns),
  update: (table, columns, keys) => {
    const set = Object.keys(columns).filter((name) => !keys.includes(name));
    return `UPDATE ${table} SET ${set.map((name) => `${name} = input.${name}`).join(", ")}
      FROM ${recordset("$1", columns)} WHERE ${
      keys.map((name) => `${table}.${name} = input.${name}`).join(" AND ")
    }`;
  },
  deleteOthers: (table, owner, other) =>
    `DELETE FROM ${table} WHERE ${owner} = ANY(ARRAY(SELECT owner FROM ${recordset("$1", KEEP_LIST)}))
      AND (${owner}, ${other}) NOT IN (
        SELECT owner, json_array_elements_text(texts::json) FROM ${recordset("$1", KEEP_LIST)})`,
  table: recordset,
  texts: (json) => `(SELECT json_array_elements_text(${json}::json) COLLATE "C" AS text)`,
  unindexed: (column) => `(${column} || '')`,
  isIn,
  contains: (column, text) => `strpos(${column}, ${text}) > 0`,
  jsonRows: (expressions, order) =>
    `coalesce(json_agg(json_build_array(${expressions}) ORDER BY ${order}), '[]')::text`,
  jsonText: (object, name) => {
    const value = (arrow: string) => `${object}::json ${arrow} '${name}'`;
    return `CASE json_typeof(${value("->")}) WHEN 'string' THEN ${value("->>")} END`;
  },
  insertionOrder: "seq",
  lockRow: "FOR NO KEY UPDATE",
  lockRows: (alias, { skipLocked } = { skipLocked: false }) =>
    `FOR UPDATE OF ${alias}${skipLocked ? " SKIP LOCKED" : ""}`,
  counter: (name) => ({ advance: null, next: `nextval('${name}')` }),
  insertRows: (table, columns) =>
    `INSERT INTO ${table} (${columns.join(", ")}) SELECT ${columns.join(", ")} FROM ${populated(table)}`,
  deleteRows: (table, columns) =>
    // As an array too: see `isIn`.
    `DELETE FROM ${table} AS old USING ${populated(table)} AS input
      WHERE old.${columns[0]} = ANY(ARRAY(SELECT ${columns[0]} FROM ${populated(table)})) AND ${
      columns.map((name) => `old.${name} = input.${name}`).join(" AND ")
    }`,
  continueAfter: ({ table, column, counter }) => {
    const sequence = counter === null ? `pg_get_serial_sequence('${table}', '${column}')` : `'${counter}'`;
    return `SELECT setval(${sequence}, greatest(nextval(${sequence}), (SELECT max(${column}) FROM ${table})))`;
  },
  lockNames,
};

/** In 64 groups by their hash, so that a transaction never has more locks than the server plans for one. */
const LOCK_NAMES = `SELECT pg_advisory_xact_lock(hashtext(current_schema()), name_group) FROM (
  SELECT DISTINCT hashtext(name) & 63 AS name_group FROM json_array_elements_text($1::json) AS name
  ORDER BY name_group) AS groups`;

function* lockNames(names: readonly string[]): Steps<void> {
  yield* all(LOCK_NAMES, storableJson(names));
}

/** {@link SqlDatabase} in one schema of a PostgreSQL database. */
export class PostgresDatabase extends ServerStore implements SqlDatabase {
  readonly dialect = DIALECT;
  private readonly postgres: Postgres;

  constructor(options: PostgresOptions) {
    super();
    this.postgres = new Postgres(options);
  }

  query<T>(steps: () => Steps<T>, options: Abortable = {}): Promise<T> {
    return this.postgres.query((session) => execute(session, steps()), options);
  }

  read<T>(steps: () => Steps<T>, options: Limits = {}): Promise<T> {
    return this.postgres.read((session) => execute(session, steps()), options);
  }

  write<T>(steps: () => Steps<T>, options: Limits = {}): Promise<T> {
    return this.postgres.write((session) => execute(session, steps()), options);
  }

  async writeEach<Row, T>(
    rows: readonly Row[],
    each: (group: readonly Row[]) => Steps<T>,
    { size, beforeCommit, ...limits }: WriteEachOptions<Row, T> = {},
  ): Promise<T[]> {
    limits.signal?.throwIfAborted();
    const results: T[] = [];
    for (const group of groupRows(rows, GROUP_ROWS, size)) {
      const steps = function* () {
        const result = yield* each(group);
        yield* beforeCommit?.([result]) ?? [];
        return result;
      };
      results.push(await this.write(steps, limits));
    }
    return results;
  }

  putRows<Row>(table: TableByKey<Row>): PutRows<Row> {
    return putRows(this, table);
  }

  async writeAll(
    steps: (limit: number) => Steps<number>,
    { limit = WRITE_LIMIT, ...limits }: Limits & { limit?: number } = {},
  ): Promise<number> {
    for (let sum = 0;;) {
      const changes = await this.write(() => steps(limit), limits);
      sum += changes;
      if (changes < limit) return sum;
    }
  }

  /**
   * Nothing. Deleted rows are gone for every query at once. Their bytes remain until the server writes over the space that a
   * vacuum has freed, and in its log and backups for as long as those are kept.
   */
  async scrub(): Promise<void> {}

  health(options: Abortable = {}): Promise<Health> {
    return this.postgres.health(options);
  }

  close(): Promise<void> {
    return this.postgres.close();
  }
}

async function execute<T>(session: PgSession, steps: Steps<T>): Promise<T> {
  for (let step = steps.next();;) {
    if (step.done) return step.value;
    step = steps.next(await session.execute(step.value));
  }
}

/** The parameter's rows with the types of a table's columns. */
function populated(table: string): string {
  return `json_populate_recordset(NULL::${table}, $1::json)`;
}
