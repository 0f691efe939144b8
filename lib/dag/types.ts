import type { Json, JsonObject } from "../core/types.ts";

/** All of Airflow's trigger rules: when a task may start, by the states of the tasks it needs. */
export const TRIGGER_RULES = [
  "all_success",
  "all_failed",
  "all_done",
  "all_done_min_one_success",
  "all_skipped",
  "one_failed",
  "one_success",
  "one_done",
  "none_failed",
  "none_failed_min_one_success",
  "none_skipped",
  "always",
] as const;
export type TriggerRule = typeof TRIGGER_RULES[number];

/** A dataset by OpenLineage's naming rules: namespace of the store, name within it. */
export interface Dataset {
  readonly namespace: string;
  readonly name: string;
}

/** A dataset as one attempt used it. `version` is a content hash or data version; `fields` its columns. */
export interface DatasetUse extends Dataset {
  readonly rows?: number;
  readonly bytes?: number;
  readonly version?: string;
  readonly fields?: readonly string[];
  /** Quality figures, such as duplicates or rows refused. */
  readonly quality?: Readonly<Record<string, number>>;
}

/** How far an attempt is. `total` is null while unknown. */
export interface Progress {
  readonly done: number;
  readonly total: number | null;
}

/** Rows that passed through an attempt, for the summary. */
export interface RowCounts {
  readonly in: number;
  readonly out: number;
  readonly quarantined: number;
}

/** The run that an attempt belongs to. Times are ISO 8601 in UTC. */
export interface RunInfo {
  readonly run_id: string;
  readonly dag_id: string;
  readonly logical_date: string;
  readonly interval_start: string;
  readonly interval_end: string;
  readonly params: JsonObject;
}

/** All that a task sees of the world. */
export interface TaskContext<Services> {
  readonly services: Services;
  readonly run: RunInfo;
  readonly task_id: string;
  /** Which item of a mapped task this instance has, from 0; null if the task is not mapped. */
  readonly map_index: number | null;
  /** That item, as the type that the caller knows it has; null if the task is not mapped. */
  item<Item = Json>(): Item;
  /** 1 for the first try. */
  readonly attempt: number;
  /** Aborted by timeout, cancel, deadline or shutdown; its reason says which. */
  readonly signal: AbortSignal;
  /**
   * What an upstream task returned, as the type that the caller knows it has; null if it was skipped and left nothing. Of a
   * mapped task, what its instances returned, in the order of their items.
   */
  output<Output = Json>(task_id: string): Output;
  progress(p: Progress): void;
  rows(counts: Partial<RowCounts>): void;
  reads(use: DatasetUse): void;
  writes(use: DatasetUse): void;
  /** Names a version that the result depends on: `model`, `schema`, `catalogue`. */
  version(name: string, version: string): void;
  /** One line for the attempt's log. Never conversation text. */
  log(line: string): void;
  /** The last value that an attempt of this task saved in this run; null at first. */
  loadCheckpoint<Value = Json>(): Value | null;
  /** Durable when it returns. */
  saveCheckpoint(value: Json | object): Promise<void>;
}

/**
 * What a task does. What it returns is small JSON for its dependents: references and counts, never rows. (`object` stands for
 * interfaces, which TypeScript does not take for JSON; what JSON cannot say is lost.) A {@link Branch} chooses which dependents
 * continue.
 */
export type TaskFunction<Services> = (context: TaskContext<Services>) => Promise<Json | object | void>;

/**
 * Returned by a task that chooses: of the tasks that need it, those in `to` continue, and those that also follow from one of
 * them; the others are skipped. An empty `to` skips them all.
 */
export class Branch {
  constructor(readonly to: readonly string[], readonly output: Json | object = null) {}
}

/**
 * Thrown by a task that has nothing to do: it and, by their trigger rules, its dependents end as skipped. `output` is kept as
 * what a task returns is, such as what it found.
 */
export class Skip extends Error {
  readonly output: Json;
  constructor(reason: string, { output = null }: { output?: Json } = {}) {
    super(reason);
    this.name = "Skip";
    this.output = output;
  }
}

/** Thrown by a task for which no retry can help. `output` is kept likewise. */
export class Fail extends Error {
  readonly output: Json;
  constructor(reason: string, { output = null, ...options }: ErrorOptions & { output?: Json } = {}) {
    super(reason, options);
    this.name = "Fail";
    this.output = output;
  }
}
