import type { SqliteOptions } from "../../engines/sqlite/sqlite.ts";
import { SqliteDatabase } from "../../engines/sqlite/sqlite_database.ts";
import { RUN_MIGRATIONS } from "../schema.ts";
import { SqlRuns } from "../sql_runs.ts";

const REFILL = "run `deno task pipeline --all`, which makes a new one: only the history of runs is lost";

/** Runs in one SQLite file. Every commit is flushed to disk (`synchronous=FULL`). */
export class SqliteRuns extends SqlRuns {
  constructor(options: Pick<SqliteOptions, "path" | "create">) {
    // A write has the file to itself.
    super(
      new SqliteDatabase({ ...options, migrations: RUN_MIGRATIONS, synchronous: "FULL", refill: REFILL }),
      function* () {},
    );
  }
}
