import type { Abortable, Health } from "../../../core/types.ts";
import type { Columns, Dialect, SqlDatabase, Steps } from "../sql.ts";
import { Postgres, type PostgresOptions } from "./postgres.ts";
import type { PgSession } from "./session.ts";

const DIALECT: Dialect = {
  input: (columns, parameters) => recordset(`$${parameters + 1}`, columns),
  update: (table, columns, keys) => {
    const set = Object.keys(columns).filter((name) => !keys.includes(name));
    return `UPDATE ${table} SET ${set.map((name) => `${name} = input.${name}`).join(", ")}
      FROM ${recordset("$1", columns)} WHERE ${
      keys.map((name) => `${table}.${name} = input.${name}`).join(" AND ")
    }`;
  },
  table: recordset,
  texts: (json) => `(SELECT json_array_elements_text(${json}::json))`,
  jsonRows: (expressions, order) =>
    `coalesce(json_agg(json_build_array(${expressions}) ORDER BY ${order}), '[]')::text`,
  insertionOrder: "seq",
  lockRow: "FOR NO KEY UPDATE",
  lockRows: (alias, { skipLocked } = { skipLocked: false }) =>
    `FOR UPDATE OF ${alias}${skipLocked ? " SKIP LOCKED" : ""}`,
};

/** {@link SqlDatabase} in one schema of a PostgreSQL database. */
export class PostgresDatabase implements SqlDatabase {
  readonly dialect = DIALECT;
  private readonly postgres: Postgres;

  constructor(options: PostgresOptions) {
    this.postgres = new Postgres(options);
  }

  query<T>(steps: () => Steps<T>, options: Abortable = {}): Promise<T> {
    return this.postgres.query((session) => execute(session, steps()), options);
  }

  read<T>(steps: () => Steps<T>, options: Abortable = {}): Promise<T> {
    return this.postgres.read((session) => execute(session, steps()), options);
  }

  write<T>(steps: () => Steps<T>, options: Abortable = {}): Promise<T> {
    return this.postgres.write((session) => execute(session, steps()), options);
  }

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

function recordset(json: string, columns: Columns): string {
  const types = Object.entries(columns).map(([name, type]) => `${name} ${type}`);
  return `json_to_recordset(${json}::json) AS input (${types.join(", ")})`;
}
