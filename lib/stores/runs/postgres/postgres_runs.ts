import { PostgresDatabase } from "../../engines/postgres/postgres_database.ts";
import { all, run, type Steps } from "../../engines/sql.ts";
import { RUN_MIGRATIONS } from "../schema.ts";
import { SqlRuns } from "../sql_runs.ts";

/** Runs in PostgreSQL, for processes on any number of machines (`synchronous_commit`). */
export class PostgresRuns extends SqlRuns {
  /** Connects at the first call. `url` is as `Postgres` takes it. */
  constructor({ url }: { url: URL }) {
    super(new PostgresDatabase({ url, store: "runs", migrations: RUN_MIGRATIONS }), lockNames);
  }
}

/**
 * Locks a row for each name, before the transaction counts what it names: a dag's running runs, or a pool's slots. Not by
 * `Dialect.lockNames`, whose groups two transactions that lock twice may take in different orders.
 */
function* lockNames(names: readonly string[]): Steps<void> {
  const sorted = JSON.stringify([...names].sort());
  const given = "(SELECT json_array_elements_text($1::json))";
  yield* run(`INSERT INTO pipeline_locks ${given} ON CONFLICT DO NOTHING`, sorted);
  yield* all(`SELECT 1 FROM pipeline_locks WHERE name IN ${given} ORDER BY name FOR UPDATE`, sorted);
}
