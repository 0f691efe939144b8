// deno-lint-ignore-file require-await -- the port is asynchronous, node:sqlite is not
import type { Abortable, PageOptions } from "../../../core/types.ts";
import type { TombstoneStore } from "../../tombstones/port.ts";
import type { VectorFiles } from "./vector_files.ts";

type Hashes = { hashes: readonly string[] } & Abortable;

const GIVEN = "(SELECT value FROM json_each(?))";

/** The tombstones of one model's file. */
export class SqliteTombstones implements TombstoneStore {
  constructor(private readonly files: VectorFiles) {}

  async add({ hashes, signal }: Hashes): Promise<void> {
    signal?.throwIfAborted();
    if (hashes.length === 0) return;
    const { sql } = this.files.write();
    const insert = `INSERT INTO tombstones SELECT value FROM json_each(?) WHERE true ON CONFLICT DO NOTHING`;
    await sql.write(() => sql.run(insert, JSON.stringify(hashes)), { signal });
  }

  async page({ after, limit, signal }: PageOptions): Promise<string[]> {
    const select = "SELECT user_hash FROM tombstones WHERE user_hash > ? ORDER BY user_hash LIMIT ?";
    return this.read(signal, select, after ?? "", limit);
  }

  async among({ hashes, signal }: Hashes): Promise<string[]> {
    const select = `SELECT user_hash FROM tombstones WHERE user_hash IN ${GIVEN} ORDER BY user_hash`;
    return this.read(signal, select, JSON.stringify(hashes));
  }

  async remove({ hashes, signal }: Hashes): Promise<void> {
    signal?.throwIfAborted();
    const { sql } = this.files.read();
    await sql.write(
      () => sql.run(`DELETE FROM tombstones WHERE user_hash IN ${GIVEN}`, JSON.stringify(hashes)),
      { signal },
    );
  }

  private read(signal: AbortSignal | undefined, select: string, ...values: (string | number)[]): string[] {
    signal?.throwIfAborted();
    return this.files.read().sql.all<{ user_hash: string }>(select, ...values).map(({ user_hash }) =>
      user_hash
    );
  }
}
