import type { JsonObject } from "../core/types.ts";
import type { Notification } from "../stores/runs/port.ts";

/** A notification in words and as data. */
export interface Message {
  /** The same each time that it is sent, so that a receiver can detect duplicates. */
  readonly id: string;
  /** What it is about, such as `run.failed`. */
  readonly type: string;
  /** ISO 8601. */
  readonly at: string;
  /** One line. */
  readonly title: string;
  /** What to do, with commands in backquotes. */
  readonly text: string;
  readonly data: JsonObject;
}

/** A notification in words. */
export function messageOf({ seq, type, at, dag_id, run_id, facts }: Notification): Message {
  const { title, text } = WORDS[type]({ dag: dag_id ?? "", run: run_id ?? "", facts });
  return { id: `parley-${seq}-${Date.parse(at)}`, type, at, title, text, data: { dag_id, run_id, ...facts } };
}

/** What `deno task pipeline notify` sends. */
export function testMessage(at: string): Message {
  return {
    id: `parley-test-${Date.parse(at)}`,
    type: "test",
    at,
    title: "A test of Parley's notifications",
    text: "Failed runs, missed deadlines and critical anomalies are reported here.",
    data: {},
  };
}

interface About {
  readonly dag: string;
  readonly run: string;
  readonly facts: JsonObject;
}

const WORDS: Readonly<Record<Notification["type"], (about: About) => { title: string; text: string }>> = {
  "run.failed": ({ dag, run, facts: { tasks, logical_date } }) => ({
    title: `${dag} failed${list(tasks)}`,
    text: `The run ${run} of ${logical_date} failed: \`deno task pipeline status ${run}\` says why.`,
  }),
  "run.recovered": ({ dag, run, facts: { logical_date } }) => ({
    title: `${dag} succeeds again`,
    text: `The run ${run} of ${logical_date} succeeded.`,
  }),
  "deadline.missed": ({ dag, run, facts: { task_id, deadline } }) => ({
    title: task_id === null
      ? `${dag} has not ended by ${deadline}`
      : `${task_id} of ${dag} has not ended by ${deadline}`,
    text: `The run is ${run}: \`deno task pipeline status ${run}\` shows how far it is.`,
  }),
  "anomaly.opened": ({ facts: { cause, anomaly_id } }) => ({
    title: String(cause),
    text: `\`deno task pipeline anomalies\` says what to do about ${anomaly_id}.`,
  }),
  "anomaly.ended": ({ facts: { anomaly_id } }) => ({
    title: `${anomaly_id} is over`,
    text: "It is no longer found.",
  }),
};

function list(tasks: JsonObject[string] | undefined): string {
  return Array.isArray(tasks) && tasks.length > 0 ? ` at ${tasks.join(", ")}` : "";
}
