import type { ModelIdentity } from "../../../core/types.ts";
import type { Migration } from "../../engines/sqlite/sqlite.ts";

/** Builds name rows by rowid, so rowids are never reused. */
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
  // Indexes of the first layout have no checksum, so they keep their place in the table and are rebuilt (format 0).
  `
  DROP INDEX vectors_by_rev;
  ALTER TABLE vectors DROP COLUMN rev;
  ALTER TABLE collections DROP COLUMN rev;
  ALTER TABLE vectors ADD COLUMN vector_hash INTEGER;
  CREATE INDEX vectors_by_vector ON vectors (collection, vector_hash, id) WHERE collection <> 'messages';

  ALTER TABLE indexes RENAME TO former;
  CREATE TABLE indexes (
    build INTEGER PRIMARY KEY AUTOINCREMENT,
    collection TEXT NOT NULL REFERENCES collections,
    version INTEGER NOT NULL,
    kind TEXT NOT NULL,
    deletions INTEGER NOT NULL,
    format INTEGER NOT NULL,
    file TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    groups BLOB NOT NULL,
    UNIQUE (collection, version)
  ) STRICT;
  INSERT INTO indexes
    SELECT build, collection, version, kind, deletions, 0, collection || '-' || version || '.' || kind, 0, '', x''
    FROM former;
  DROP TABLE former;
  `,
  // Versions from before there were conversations have an index of none, without a file; its groups are the SHA-256 of nothing.
  `
  INSERT INTO collections (collection) VALUES ('conversations');
  INSERT INTO indexes (collection, version, kind, deletions, format, file, bytes, sha256, groups)
    SELECT 'conversations', version, 'empty', 0, 1, 'conversations-' || version || '.empty', 0, '', x'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
    FROM indexes WHERE collection = 'profiles';
  `,
  "CREATE TABLE tombstones (user_hash TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;",
  // Rows whose vectors were written since they were last looked at for faults.
  `
  CREATE TABLE unverified (row INTEGER PRIMARY KEY) STRICT;
  INSERT INTO unverified SELECT rowid FROM vectors;
  CREATE TRIGGER vectors_inserted AFTER INSERT ON vectors BEGIN
    INSERT OR IGNORE INTO unverified VALUES (new.rowid);
  END;
  CREATE TRIGGER vectors_changed AFTER UPDATE OF vector ON vectors BEGIN
    INSERT OR IGNORE INTO unverified VALUES (new.rowid);
  END;
  `,
  // Codes of deleted rows are not copied, so it is not counted any more when rows were deleted.
  "ALTER TABLE indexes DROP COLUMN deletions; ALTER TABLE collections DROP COLUMN deletions;",
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
