import type { Kind } from "../core/types.ts";

/** `critical`: something is wrong now and somebody must act. `warning`: look at it today. `info`: good to know. */
export const SEVERITIES = ["critical", "warning", "info"] as const;
export type Severity = typeof SEVERITIES[number];

/** What an anomaly is about. */
export type Subject =
  | { readonly kind: "dag"; readonly dag_id: string }
  | { readonly kind: "task"; readonly dag_id: string; readonly task_id: string }
  | { readonly kind: "store"; readonly store: string }
  | { readonly kind: "scheduler" }
  /** A path that a run was given, and the rows that it should hold. */
  | { readonly kind: "source"; readonly rows: Kind; readonly path: string }
  | { readonly kind: "engagement"; readonly measure: string }
  | { readonly kind: "api"; readonly measure: string };

/** What `figure`, `expected` and `history` count. A share is 0..1, a score a cosine distance, 0..2. */
export const UNITS = [
  ...[
    "rows",
    "ms",
    "share",
    "runs",
    "attempts",
    "events",
    "score",
    "sources",
    "stores",
    "schedulers",
    "indexes",
  ] as const,
] as const;
export type Unit = typeof UNITS[number];

/** One thing that is not as it was or should be. JSON as it is. */
export interface Anomaly {
  /** Names the kind of fault, such as `run_failed`. */
  readonly code: string;
  readonly severity: Severity;
  readonly subject: Subject;
  readonly figure: number;
  /** What the figure should be, or was usually. */
  readonly expected: number;
  readonly unit: Unit;
  /** ISO time from which it has been so, as far as the history that was read tells. */
  readonly since: string;
  /** ISO time from which it no longer was so; absent while it is open. */
  readonly until?: string;
  /** The run in which it showed; null where it is about no run. */
  readonly run_id: string | null;
  /** What is wrong, then after a semicolon or a colon what to do; commands stand in backquotes. */
  readonly text: string;
  /** What is wrong alone, in one short line, with which `text` begins. Default: up to the first semicolon or colon. */
  readonly cause?: string;
  /** The values that `figure` was held against, oldest first, `figure` itself last: for a sparkline. */
  readonly history?: readonly number[];
  /** From where to where a figure would have been nothing unusual, where statistics say so. */
  readonly usual?: readonly [low: number, high: number];
}

/** The subject in one word: `nightly/embed`, `store graph`. */
export function subjectName(subject: Subject): string {
  switch (subject.kind) {
    case "dag":
      return subject.dag_id;
    case "task":
      return `${subject.dag_id}/${subject.task_id}`;
    case "store":
      return `store ${subject.store}`;
    case "scheduler":
      return subject.kind;
    case "source":
      return `${subject.rows} ${subject.path}`;
    case "engagement":
    case "api":
      return `${subject.kind} ${subject.measure}`;
  }
}

/** Names what is wrong about what, whenever it began: `run_failed:nightly/embed`. */
export function anomalyId({ code, subject }: Pick<Anomaly, "code" | "subject">): string {
  return `${code}:${subjectName(subject).replaceAll(" ", "_")}`;
}

/** What is wrong in one short line. */
export function causeOf({ cause, text }: Pick<Anomaly, "cause" | "text">): string {
  return cause ?? text.split(/[:;] /, 1)[0]!;
}

/** What to do about it, and what else there is to say: what follows the cause in its text. */
export function remedyOf(anomaly: Pick<Anomaly, "cause" | "text">): string {
  const cause = causeOf(anomaly);
  return anomaly.text.startsWith(cause)
    ? anomaly.text.slice(cause.length).replace(/^[:;,. ]+/, "")
    : anomaly.text;
}

/** Most severe first, then newest. */
export function bySeverity(a: Anomaly, b: Anomaly): number {
  return SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity) ||
    (a.since < b.since ? 1 : a.since > b.since ? -1 : 0);
}
