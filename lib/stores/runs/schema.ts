import type { TableSpec } from "../engines/sql_tables.ts";
import type { Migration } from "../engines/migration.ts";

/**
 * Times are ISO 8601 text, leases epoch milliseconds, what has structure is JSON text. A transaction on PostgreSQL locks rows
 * of `pipeline_locks`; one on SQLite has the file to itself.
 */
export const RUN_MIGRATIONS: readonly Migration[] = [
  (sql) => `
CREATE TABLE pipeline_runs (
  run_id ${sql.text} PRIMARY KEY,
  dag_id ${sql.text} NOT NULL,
  dag_version ${sql.text} NOT NULL,
  state ${sql.text} NOT NULL,
  trigger ${sql.text} NOT NULL,
  occurrence ${sql.text} UNIQUE,
  logical_date ${sql.text} NOT NULL,
  interval_start ${sql.text} NOT NULL,
  interval_end ${sql.text} NOT NULL,
  params ${sql.text} NOT NULL,
  created_at ${sql.text} NOT NULL,
  started_at ${sql.text},
  ended_at ${sql.text},
  error ${sql.text},
  cancel_requested ${sql.integer} NOT NULL DEFAULT 0,
  owner ${sql.text},
  lease_until ${sql.number} NOT NULL DEFAULT 0
);
CREATE INDEX pipeline_runs_by_state ON pipeline_runs (state, dag_id, created_at);
CREATE INDEX pipeline_runs_by_dag ON pipeline_runs (dag_id, created_at);

CREATE TABLE pipeline_tasks (
  run_id ${sql.text} NOT NULL REFERENCES pipeline_runs ON DELETE CASCADE,
  task_id ${sql.text} NOT NULL,
  state ${sql.text} NOT NULL,
  attempts ${sql.integer} NOT NULL,
  tries ${sql.integer} NOT NULL,
  lost ${sql.integer} NOT NULL,
  ready_at ${sql.number} NOT NULL,
  first_started_at ${sql.text},
  output ${sql.text} NOT NULL,
  error ${sql.text},
  checkpoint ${sql.text},
  PRIMARY KEY (run_id, task_id)
) ${sql.keyed};

CREATE TABLE pipeline_attempts (
  run_id ${sql.text} NOT NULL REFERENCES pipeline_runs ON DELETE CASCADE,
  task_id ${sql.text} NOT NULL,
  attempt ${sql.integer} NOT NULL,
  state ${sql.text} NOT NULL,
  owner ${sql.text} NOT NULL,
  pool ${sql.text} NOT NULL,
  weight ${sql.integer} NOT NULL,
  started_at ${sql.text} NOT NULL,
  ended_at ${sql.text},
  error ${sql.text},
  rows_in ${sql.number} NOT NULL,
  rows_out ${sql.number} NOT NULL,
  quarantined ${sql.number} NOT NULL,
  progress_done ${sql.number} NOT NULL,
  progress_total ${sql.number},
  versions ${sql.text} NOT NULL,
  PRIMARY KEY (run_id, task_id, attempt)
) ${sql.keyed};
CREATE INDEX pipeline_attempts_running ON pipeline_attempts (pool, run_id, weight) WHERE state = 'running';

CREATE TABLE pipeline_lineage (
  run_id ${sql.text} NOT NULL REFERENCES pipeline_runs ON DELETE CASCADE,
  task_id ${sql.text} NOT NULL,
  attempt ${sql.integer} NOT NULL,
  direction ${sql.text} NOT NULL,
  namespace ${sql.text} NOT NULL,
  name ${sql.text} NOT NULL,
  rows ${sql.number},
  bytes ${sql.number},
  version ${sql.text},
  fields ${sql.text} NOT NULL,
  quality ${sql.text} NOT NULL${sql.insertionOrder}
);
CREATE INDEX pipeline_lineage_by_run ON pipeline_lineage (run_id, task_id, attempt);

CREATE TABLE pipeline_logs (
  seq ${sql.id},
  run_id ${sql.text} NOT NULL REFERENCES pipeline_runs ON DELETE CASCADE,
  task_id ${sql.text} NOT NULL,
  attempt ${sql.integer} NOT NULL,
  at ${sql.text} NOT NULL,
  line ${sql.text} NOT NULL
);
CREATE INDEX pipeline_logs_by_run ON pipeline_logs (run_id, seq);

CREATE TABLE paused_dags (dag_id ${sql.text} PRIMARY KEY);

CREATE TABLE scheduler (
  one ${sql.id} CHECK (one = 1),
  owner ${sql.text} NOT NULL,
  last_tick ${sql.number} NOT NULL,
  lag_ms ${sql.integer} NOT NULL,
  lease_until ${sql.number} NOT NULL
);
${sql.engine === "postgres" ? `CREATE TABLE pipeline_locks (name ${sql.text} PRIMARY KEY);` : ""}
`,
  (sql) => `
ALTER TABLE pipeline_tasks ADD COLUMN branch ${sql.text};
ALTER TABLE pipeline_attempts ADD COLUMN lease_until ${sql.number};
CREATE TABLE known_dags (dag_id ${sql.text} PRIMARY KEY, since ${sql.number} NOT NULL);
`,
  // From when on, in epoch milliseconds, an ended attempt is due to be sent to a lineage sink; null once it was.
  (sql) => `
ALTER TABLE pipeline_attempts ADD COLUMN send_at ${sql.integer} DEFAULT 0;
CREATE INDEX pipeline_attempts_unsent ON pipeline_attempts (send_at, ended_at)
  WHERE send_at IS NOT NULL AND ended_at IS NOT NULL;
`,
  (sql) => `
CREATE TABLE ended_sessions (session_id ${sql.text} PRIMARY KEY, until ${sql.integer} NOT NULL);
`,
  (sql) => `
CREATE TABLE acknowledgements (
  anomaly_id ${sql.text} PRIMARY KEY,
  since ${sql.text} NOT NULL,
  "by" ${sql.text} NOT NULL,
  at ${sql.text} NOT NULL,
  until ${sql.text} NOT NULL
);
`,
  (sql) => `
CREATE TABLE audit_log (
  seq ${sql.id},
  at ${sql.text} NOT NULL,
  request_id ${sql.text} NOT NULL,
  "by" ${sql.text} NOT NULL,
  method ${sql.text} NOT NULL,
  route ${sql.text} NOT NULL,
  status ${sql.integer} NOT NULL,
  user_hash ${sql.text},
  facts ${sql.text} NOT NULL
);
CREATE INDEX audit_log_by_time ON audit_log (at);
`,
  (sql) => `
ALTER TABLE pipeline_runs ADD COLUMN backfill_id ${sql.text};
CREATE INDEX pipeline_runs_by_backfill ON pipeline_runs (backfill_id, state) WHERE backfill_id IS NOT NULL;
CREATE TABLE backfills (
  backfill_id ${sql.text} PRIMARY KEY,
  dag_id ${sql.text} NOT NULL,
  from_day ${sql.text} NOT NULL,
  to_day ${sql.text} NOT NULL,
  reprocess ${sql.text} NOT NULL,
  max_active ${sql.integer} NOT NULL,
  backwards ${sql.integer} NOT NULL,
  created_at ${sql.text} NOT NULL,
  cancelled_at ${sql.text}
);
`,
  // An attempt is due to be sent from its start on, and again from its end.
  (sql) => `
ALTER TABLE pipeline_attempts ADD COLUMN start_sent ${sql.integer} NOT NULL DEFAULT 0;
DROP INDEX pipeline_attempts_unsent;
CREATE INDEX pipeline_attempts_unsent ON pipeline_attempts (send_at, (coalesce(ended_at, started_at)))
  WHERE send_at IS NOT NULL;
`,
  // What sinks get, in this order, and up to which number each has got all.
  (sql) => `
CREATE TABLE notifications (
  seq ${sql.id},
  type ${sql.text} NOT NULL,
  subject ${sql.text} NOT NULL,
  at ${sql.text} NOT NULL,
  dag_id ${sql.text},
  run_id ${sql.text},
  facts ${sql.text} NOT NULL
);
CREATE INDEX notifications_by_subject ON notifications (subject, seq);
CREATE TABLE notification_sinks (
  sink ${sql.text} PRIMARY KEY,
  sent_seq ${sql.number} NOT NULL,
  due_at ${sql.number} NOT NULL
);
`,
  // How often tasks wrote a dataset, by its key, and when they last did: dags run when it is written.
  (sql) => `
CREATE TABLE dataset_writes (
  dataset ${sql.text} PRIMARY KEY,
  writes ${sql.number} NOT NULL,
  written_at ${sql.text} NOT NULL
);
`,
  (sql) => `
ALTER TABLE pipeline_attempts ADD COLUMN parent ${sql.text};
`,
  (sql) => `
CREATE TABLE run_notes (
  seq ${sql.id},
  run_id ${sql.text} NOT NULL REFERENCES pipeline_runs ON DELETE CASCADE,
  task_id ${sql.text},
  action ${sql.text} NOT NULL,
  "by" ${sql.text} NOT NULL,
  note ${sql.text} NOT NULL,
  at ${sql.text} NOT NULL
);
CREATE INDEX run_notes_by_run ON run_notes (run_id, seq);
`,
];

/** All tables but that of the scheduler, which says what a process does now. */
export const RUN_TABLES: Readonly<Record<string, TableSpec>> = {
  pipeline_runs: { key: ["run_id"] },
  backfills: { key: ["backfill_id"] },
  pipeline_tasks: { key: ["run_id", "task_id"] },
  pipeline_attempts: { key: ["run_id", "task_id", "attempt"] },
  pipeline_lineage: { key: ["run_id", "task_id", "attempt"], repeats: true },
  pipeline_logs: { key: ["seq"], numbered: { column: "seq", counter: null } },
  dataset_writes: { key: ["dataset"] },
  paused_dags: { key: ["dag_id"] },
  known_dags: { key: ["dag_id"] },
  ended_sessions: { key: ["session_id"] },
  acknowledgements: { key: ["anomaly_id"] },
  audit_log: { key: ["seq"], numbered: { column: "seq", counter: null } },
  notifications: { key: ["seq"], numbered: { column: "seq", counter: null } },
  notification_sinks: { key: ["sink"] },
  run_notes: { key: ["seq"], numbered: { column: "seq", counter: null } },
};
