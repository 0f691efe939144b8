import { iso } from "../core/clock.ts";
import type { NewNotification, RunRecord, RunStore } from "../stores/runs/port.ts";
import { type DeadlineAlert, deadlineOf } from "./deadline.ts";
import type { Dag } from "./define.ts";
import { outcomeOf } from "./trigger_rules.ts";

/** Open runs of a dag that are looked at. */
const MAX_RUNS = 100;

/** Adds a notification for each deadline that has passed while its run or task has not ended. */
export class DeadlineAlerts {
  /** Subjects that need no further look. */
  private readonly done = new Map<string, ReadonlySet<string>>();

  constructor(private readonly runs: Pick<RunStore, "addNotification" | "runs" | "snapshot">) {}

  async check<Services>(dag: Dag<Services>, now: number): Promise<void> {
    const alerts = alertsOf(dag);
    if (alerts.length === 0) return;
    const open = await this.runs.runs({ dag_id: dag.id, states: ["queued", "running"], limit: MAX_RUNS });
    const done = new Set<string>();
    for (const run of open) {
      for (const missed of await this.missed(dag, alerts, run, now)) {
        done.add(missed.subject);
        if (missed.notification !== null) await this.runs.addNotification(missed.notification);
      }
    }
    this.done.set(dag.id, done);
  }

  /** The deadlines of a run that have passed; without a notification for a task that had ended, or that was looked at before. */
  private async missed<Services>(
    dag: Dag<Services>,
    alerts: readonly { task_id: string | null; alert: DeadlineAlert }[],
    run: RunRecord,
    now: number,
  ): Promise<{ subject: string; notification: NewNotification | null }[]> {
    const { run_id, dag_id, logical_date } = run;
    const passed = alerts.flatMap(({ task_id, alert }) => {
      const at = deadlineOf(alert, run, dag.schedule?.timezone ?? "UTC");
      const subject = `deadline ${run_id}${task_id === null ? "" : `/${task_id}`}`;
      return at === null || at > now ? [] : [{ task_id, subject, deadline: iso(at) }];
    });
    const isNew = ({ subject }: { subject: string }) => this.done.get(dag_id)?.has(subject) !== true;
    const tasks = passed.some((one) => one.task_id !== null && isNew(one))
      ? (await this.runs.snapshot({ run_id }))?.tasks ?? []
      : [];
    return passed.map((one) => {
      const { task_id, subject, deadline } = one;
      const state = tasks.find((task) => task.task_id === task_id)?.state;
      const hasEnded = task_id !== null && state !== undefined && outcomeOf(state) !== null;
      if (!isNew(one) || hasEnded) return { subject, notification: null };
      const facts = { task_id, deadline, logical_date };
      return {
        subject,
        notification: { type: "deadline.missed", subject, at: iso(now), dag_id, run_id, facts },
      };
    });
  }
}

/** Of the run (null) and its tasks. */
function alertsOf<Services>(dag: Dag<Services>): { task_id: string | null; alert: DeadlineAlert }[] {
  const all = [
    { task_id: null, alert: dag.deadline_alert },
    ...dag.tasks.map(({ id, deadline_alert }) => ({ task_id: id, alert: deadline_alert })),
  ];
  return all.flatMap(({ task_id, alert }) => alert === undefined ? [] : [{ task_id, alert }]);
}
