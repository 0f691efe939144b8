import type { ModelIdentity } from "../../core/types.ts";
import type { Migration } from "../sqlite.ts";

/**
 * Rowids are the keys in index files, so they are never reused. `rev` numbers the write that last changed a row, by
 * collection; `deletions` counts the writes that took rows away. Both tell a build what an earlier index file lacks.
 */
const MIGRATIONS: readonly Migration[] = [
  `
  CREATE TABLE model (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    name TEXT NOT NULL,
    revision TEXT NOT NULL,
    dimension INTEGER NOT NULL,
    pooling TEXT NOT NULL
  ) STRICT;

  CREATE TABLE collections (
    collection TEXT PRIMARY KEY,
    rev INTEGER NOT NULL DEFAULT 0,
    deletions INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  INSERT INTO collections (collection) VALUES ('messages'), ('profiles'), ('campaigns');

  CREATE TABLE vectors (
    rowid INTEGER PRIMARY KEY AUTOINCREMENT,
    collection TEXT NOT NULL REFERENCES collections,
    id TEXT NOT NULL,
    user_id TEXT,
    role TEXT NOT NULL,
    timestamp TEXT,
    content_hash TEXT NOT NULL,
    rev INTEGER NOT NULL,
    vector BLOB NOT NULL,
    UNIQUE (collection, id)
  ) STRICT;
  CREATE INDEX vectors_by_hash ON vectors (collection, content_hash);
  CREATE INDEX vectors_by_user ON vectors (collection, user_id, role, id);
  CREATE INDEX vectors_by_rev ON vectors (collection, rev);

  CREATE TABLE indexes (
    build INTEGER PRIMARY KEY AUTOINCREMENT,
    collection TEXT NOT NULL REFERENCES collections,
    version INTEGER NOT NULL,
    kind TEXT NOT NULL,
    rev INTEGER NOT NULL,
    deletions INTEGER NOT NULL,
    UNIQUE (collection, version)
  ) STRICT;
  `,
];

/** The same for the file of one model, which from the first instant says whose vectors it holds. */
export function vectorMigrations(model: ModelIdentity): readonly Migration[] {
  const [name, revision, pooling] = [model.name, model.revision, model.pooling].map(literal);
  const bind = `INSERT INTO model VALUES (1, ${name}, ${revision}, ${model.dimension}, ${pooling})`;
  return MIGRATIONS.map((sql, version) => version === 0 ? `${sql};${bind}` : sql);
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
