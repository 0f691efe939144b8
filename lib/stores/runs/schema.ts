import type { Migration } from "../engines/sqlite/sqlite.ts";

/** Times are ISO 8601 text, leases epoch milliseconds, what has structure is JSON text. */
export const RUN_MIGRATIONS: readonly Migration[] = [
  `
CREATE TABLE pipeline_runs (
  run_id TEXT PRIMARY KEY,
  dag_id TEXT NOT NULL,
  dag_version TEXT NOT NULL,
  state TEXT NOT NULL,
  trigger TEXT NOT NULL,
  occurrence TEXT UNIQUE,
  logical_date TEXT NOT NULL,
  interval_start TEXT NOT NULL,
  interval_end TEXT NOT NULL,
  params TEXT NOT NULL,
  created_at TEXT NOT NULL,
  started_at TEXT,
  ended_at TEXT,
  error TEXT,
  cancel_requested INTEGER NOT NULL DEFAULT 0,
  owner TEXT,
  lease_until INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX pipeline_runs_by_state ON pipeline_runs (state, dag_id, created_at);
CREATE INDEX pipeline_runs_by_dag ON pipeline_runs (dag_id, created_at);

CREATE TABLE pipeline_tasks (
  run_id TEXT NOT NULL REFERENCES pipeline_runs ON DELETE CASCADE,
  task_id TEXT NOT NULL,
  state TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  tries INTEGER NOT NULL,
  lost INTEGER NOT NULL,
  ready_at INTEGER NOT NULL,
  first_started_at TEXT,
  output TEXT NOT NULL,
  error TEXT,
  checkpoint TEXT,
  PRIMARY KEY (run_id, task_id)
) WITHOUT ROWID;

CREATE TABLE pipeline_attempts (
  run_id TEXT NOT NULL REFERENCES pipeline_runs ON DELETE CASCADE,
  task_id TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  state TEXT NOT NULL,
  owner TEXT NOT NULL,
  pool TEXT NOT NULL,
  weight INTEGER NOT NULL,
  started_at TEXT NOT NULL,
  ended_at TEXT,
  error TEXT,
  rows_in INTEGER NOT NULL,
  rows_out INTEGER NOT NULL,
  quarantined INTEGER NOT NULL,
  progress_done INTEGER NOT NULL,
  progress_total INTEGER,
  versions TEXT NOT NULL,
  PRIMARY KEY (run_id, task_id, attempt)
) WITHOUT ROWID;
CREATE INDEX pipeline_attempts_running ON pipeline_attempts (pool, run_id, weight) WHERE state = 'running';

CREATE TABLE pipeline_lineage (
  run_id TEXT NOT NULL REFERENCES pipeline_runs ON DELETE CASCADE,
  task_id TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  direction TEXT NOT NULL,
  namespace TEXT NOT NULL,
  name TEXT NOT NULL,
  rows INTEGER,
  bytes INTEGER,
  version TEXT,
  fields TEXT NOT NULL,
  quality TEXT NOT NULL
);
CREATE INDEX pipeline_lineage_by_run ON pipeline_lineage (run_id, task_id, attempt);

CREATE TABLE pipeline_logs (
  seq INTEGER PRIMARY KEY,
  run_id TEXT NOT NULL REFERENCES pipeline_runs ON DELETE CASCADE,
  task_id TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  at TEXT NOT NULL,
  line TEXT NOT NULL
);
CREATE INDEX pipeline_logs_by_run ON pipeline_logs (run_id, seq);

CREATE TABLE paused_dags (dag_id TEXT PRIMARY KEY);

CREATE TABLE scheduler (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  owner TEXT NOT NULL,
  last_tick INTEGER NOT NULL,
  lag_ms INTEGER NOT NULL,
  lease_until INTEGER NOT NULL
);
`,
  `
ALTER TABLE pipeline_tasks ADD COLUMN branch TEXT;
ALTER TABLE pipeline_attempts ADD COLUMN lease_until INTEGER;
CREATE TABLE known_dags (dag_id TEXT PRIMARY KEY, since INTEGER NOT NULL);
`,
  // From when on, in epoch milliseconds, an ended attempt is due to be sent to a lineage sink; null once it was.
  `
ALTER TABLE pipeline_attempts ADD COLUMN send_at INTEGER DEFAULT 0;
CREATE INDEX pipeline_attempts_unsent ON pipeline_attempts (send_at, ended_at)
  WHERE send_at IS NOT NULL AND ended_at IS NOT NULL;
`,
  `
CREATE TABLE ended_sessions (session_id TEXT PRIMARY KEY, until INTEGER NOT NULL);
`,
  `
CREATE TABLE acknowledgements (
  anomaly_id TEXT PRIMARY KEY,
  since TEXT NOT NULL,
  "by" TEXT NOT NULL,
  at TEXT NOT NULL,
  until TEXT NOT NULL
);
`,
];
