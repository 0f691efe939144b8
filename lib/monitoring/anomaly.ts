import { z } from "../../deps.ts";
import { KINDS } from "../core/types.ts";

/** `critical`: something is wrong now and the operator must act. `warning`: look at it today. `info`: good to know. */
export const SEVERITIES = ["critical", "warning", "info"] as const;
export type Severity = typeof SEVERITIES[number];

/** What an anomaly is about. */
const SUBJECT = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("dag"), dag_id: z.string() }),
  z.object({ kind: z.literal("task"), dag_id: z.string(), task_id: z.string() }),
  z.object({ kind: z.literal("store"), store: z.string() }),
  z.object({ kind: z.literal("scheduler") }),
  /** A path that a run was given, and the rows that it should hold. */
  z.object({ kind: z.literal("source"), rows: z.enum(KINDS), path: z.string() }),
  /** A file or folder that a setting names. */
  z.object({ kind: z.literal("file"), path: z.string() }),
  z.object({ kind: z.literal("engagement"), measure: z.string() }),
  z.object({ kind: z.literal("api"), measure: z.string() }),
]);
export type Subject = z.infer<typeof SUBJECT>;

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
    "files",
  ] as const,
] as const;
export type Unit = typeof UNITS[number];

/** One thing that is not as it was or should be. */
export const ANOMALY = z.object({
  /** Names the kind of fault, such as `run_failed`. */
  code: z.string(),
  severity: z.enum(SEVERITIES),
  subject: SUBJECT,
  figure: z.number(),
  /** What the figure should be, or was usually. */
  expected: z.number(),
  unit: z.enum(UNITS),
  /** ISO time of its beginning, as far as the history that was read shows. */
  since: z.string(),
  /** ISO time from which it no longer was so; absent while it is open. */
  until: z.string().exactOptional(),
  /** The run in which it showed; null where it is about no run. */
  run_id: z.string().nullable(),
  /** What is wrong, then after a semicolon or a colon what to do; commands are in backquotes. */
  text: z.string(),
  /** What is wrong alone, in one short line, with which `text` begins. Default: up to the first semicolon or colon. */
  cause: z.string().exactOptional(),
  /** The values that `figure` was compared with, oldest first, `figure` itself last: for a sparkline. */
  history: z.array(z.number()).readonly().exactOptional(),
  /** From where to where a figure would have been nothing unusual, where statistics say so. */
  usual: z.tuple([z.number(), z.number()]).readonly().exactOptional(),
}).readonly();
/** JSON as it is. */
export type Anomaly = z.infer<typeof ANOMALY>;

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
    case "file":
      return `file ${subject.path}`;
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
