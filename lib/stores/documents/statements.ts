import type { Columns, Dialect } from "../engines/sql.ts";

/** A classification as its columns. */
export const CLASSIFIED = {
  message_id: "text",
  classified: "text",
  score: "double precision",
  classifier: "text",
} as const satisfies Columns;
export const EXAMPLE = { message_id: "text", example_of: "text" } as const satisfies Columns;
export const QUARANTINED = {
  run_id: "text",
  kind: "text",
  source: "text",
  position: "bigint",
  reason: "text",
  raw: "text",
  at: "text",
} as const satisfies Columns;

export const POSITION = {
  run_id: "text",
  kind: "text",
  source: "text",
  position: "bigint",
} as const satisfies Columns;

const RESULT = "message_id, classified AS intent, score, classifier";
const WITHOUT_INTENT = "WHERE message_id > $1 AND role = 'user' AND intent IS NULL";
/** The parameters that a filter gives; null for any value. */
const FILTERED = `WHERE run_id = coalesce($1, run_id) AND kind = coalesce($2, kind)
  AND source = coalesce($3, source) AND position = coalesce($4, position) AND reason = coalesce($5, reason)`;

export type DocumentSql = ReturnType<typeof documentSql>;

/** All statements, and clauses for messages, made once: a statement is found by its text. */
export function documentSql(dialect: Dialect) {
  const isGiven = (column: string) => dialect.isIn(column, "$1");
  const id = dialect.unindexed("message_id");
  const key = "run_id, kind, source, position";
  return {
    // All messages in the order of ids are not read to find these users'.
    ofUsers: `WHERE ${isGiven("user_id")} AND ${id} > $2 ORDER BY ${id} LIMIT $3`,
    intentCounts:
      `SELECT user_id, coalesce(intent, classified) AS intent, count(*) AS count, max(timestamp) AS last
      FROM messages
      WHERE ${isGiven("user_id")} AND role = 'user' AND coalesce(intent, classified) IS NOT NULL
      GROUP BY 1, 2 ORDER BY 1, 2`,
    beforeClassify: `SELECT message_id, user_id, classified FROM messages WHERE ${isGiven("message_id")}
      ORDER BY message_id ${dialect.lockRows("messages")}`,
    classify: dialect.update("messages", CLASSIFIED, ["message_id"]),
    unclassified: `${WITHOUT_INTENT} AND classifier IS DISTINCT FROM $3 ORDER BY message_id LIMIT $2`,
    unlabelled: `${WITHOUT_INTENT} AND classified IS NULL ORDER BY message_id LIMIT $2`,
    classifications: `SELECT ${RESULT} FROM messages
      WHERE ${isGiven("message_id")} AND classifier IS NOT NULL ORDER BY message_id`,
    classificationPage: `SELECT ${RESULT} FROM messages
      WHERE message_id > $1 AND classifier IS NOT NULL ORDER BY message_id LIMIT $2`,
    classifierCounts:
      `SELECT classifier, count(*) AS messages, count(*) FILTER (WHERE classified IS NULL) AS out_of_scope
      FROM messages WHERE classifier IS NOT NULL GROUP BY classifier ORDER BY classifier`,
    labelled: `SELECT message_id FROM messages WHERE intent = $1 AND role = 'user'
      ORDER BY timestamp DESC, message_id LIMIT $2`,
    markExample: dialect.update("messages", EXAMPLE, ["message_id"]),
    saveClassifier: `INSERT INTO classifiers (id, key, body) VALUES (1, $1, $2)
      ON CONFLICT (id) DO UPDATE SET key = excluded.key, body = excluded.body`,
    examples: `SELECT message_id, intent FROM messages
      WHERE example_of = $1 AND role = 'user' AND intent IS NOT NULL ORDER BY message_id`,
    quarantine: `${dialect.insertRows("quarantine", Object.keys(QUARANTINED))} ON CONFLICT DO NOTHING`,
    quarantined: `SELECT ${Object.keys(QUARANTINED)} FROM quarantine
      JOIN (SELECT run_id, max(at) AS newest FROM quarantine GROUP BY run_id) AS runs USING (run_id)
      ${FILTERED}
      ORDER BY newest DESC, run_id DESC, kind, source, position LIMIT $6 OFFSET $7`,
    quarantineReasons: `SELECT kind, reason, count(*) AS rows FROM quarantine ${FILTERED}
      GROUP BY kind, reason ORDER BY rows DESC, kind, reason LIMIT $6`,
    deleteQuarantined: dialect.deleteRows("quarantine", Object.keys(POSITION)),
    pruneQuarantine: `DELETE FROM quarantine WHERE (${key}) IN (
      SELECT ${key} FROM quarantine WHERE at < $1 LIMIT $2)`,
    deleteMessages: `DELETE FROM messages WHERE message_id IN (
      SELECT message_id FROM messages WHERE ${isGiven("user_id")} LIMIT $2)`,
    counts: `SELECT (SELECT count(*) FROM messages) AS messages,
      (SELECT count(DISTINCT user_id) FROM messages) AS users,
      (SELECT count(*) FROM quarantine) AS quarantined`,
  };
}
