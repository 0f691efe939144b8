import { PostgresDatabase } from "../../engines/postgres/postgres_database.ts";
import { postgresDialect } from "../../engines/postgres/schema.ts";
import { all, run, type Steps } from "../../engines/sql.ts";
import { RUN_MIGRATIONS } from "../schema.ts";
import { SqlRuns } from "../sql_runs.ts";

/** What comes from clocks and tasks need not be whole: SQLite keeps such numbers as they are, and so does this. */
const FRACTIONAL =
  /\b(ready_at|lease_until|since|last_tick|rows|bytes|rows_in|rows_out|quarantined|progress_\w+) BIGINT/g;

/** The tables of SQLite. Lineage is ordered by a column of its own, as there are no row ids. */
export const MIGRATIONS = RUN_MIGRATIONS.map((sql, version) => {
  const tables = postgresDialect(sql).replaceAll(FRACTIONAL, "$1 DOUBLE PRECISION");
  return version === 0
    ? `${tables}; ALTER TABLE pipeline_lineage ADD COLUMN seq BIGINT GENERATED ALWAYS AS IDENTITY;
       CREATE TABLE pipeline_locks (name TEXT COLLATE "C" PRIMARY KEY)`
    : tables;
});

/** Runs in PostgreSQL, for processes on any number of machines (`synchronous_commit`). */
export class PostgresRuns extends SqlRuns {
  /** Connects at the first call. `url` is as `Postgres` takes it. */
  constructor({ url }: { url: URL }) {
    super(new PostgresDatabase({ url, store: "runs", migrations: MIGRATIONS }), lockNames);
  }
}

/** Locks a row for each name, before the transaction counts what it names: a dag's running runs, or a pool's slots. */
function* lockNames(names: readonly string[]): Steps<void> {
  const sorted = JSON.stringify([...names].sort());
  const given = "(SELECT json_array_elements_text($1::json))";
  yield* run(`INSERT INTO pipeline_locks ${given} ON CONFLICT DO NOTHING`, sorted);
  yield* all(`SELECT 1 FROM pipeline_locks WHERE name IN ${given} ORDER BY name FOR UPDATE`, sorted);
}
