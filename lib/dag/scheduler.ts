import { sleep } from "../core/abort.ts";
import { type Clock, iso } from "../core/clock.ts";
import { datasetKey, type RunStore } from "../stores/runs/port.ts";
import { activeLimits, type Dag } from "./define.ts";
import { datasetsOf, dueByDatasets } from "./dataset_schedule.ts";
import { DeadlineAlerts } from "./deadline_alerts.ts";
import { createDatasetRun, createScheduledRun } from "./runs.ts";
import { dueOccurrences } from "./schedule.ts";

interface SchedulerOptions<Services> {
  readonly dags: ReadonlyMap<string, Dag<Services>>;
  readonly runs: RunStore;
  readonly clock: Clock;
  /** Names this process among all that share the run store. */
  readonly owner: string;
  readonly tick_ms: number;
  /** How long the leader may be silent before another process takes over. */
  readonly ttl_ms: number;
  /** Called when there are runs to execute: queued ones, or ones whose process died. Returns at once. */
  readonly dispatch: () => void;
}

/** What one tick did. */
interface Tick {
  readonly leading: boolean;
  /** Run occurrences that were created. */
  readonly created: number;
}

/** Creates the runs that are due. Any number of processes may run a scheduler: one leads, the others stand by. */
export class Scheduler<Services> {
  private lastTick: number | null = null;
  private readonly deadlines: DeadlineAlerts;

  constructor(private readonly options: SchedulerOptions<Services>) {
    this.deadlines = new DeadlineAlerts(options.runs);
  }

  /** Creates the runs that are due now. Safe to call at any time, by any number of processes. */
  async tick(): Promise<Tick> {
    const now = this.options.clock.now();
    const lag_ms = this.lastTick === null ? 0 : Math.max(0, now - this.lastTick - this.options.tick_ms);
    this.lastTick = now;
    const leading = await this.options.runs.lead({
      owner: this.options.owner,
      now,
      ttl_ms: this.options.ttl_ms,
      lag_ms,
    });
    if (!leading) return { leading, created: 0 };
    const paused = new Set(await this.options.runs.paused());
    let created = 0;
    for (const dag of this.options.dags.values()) {
      if (!paused.has(dag.id)) {
        created += await this.createDue(dag, now) + await this.createByDatasets(dag, now);
      }
      await this.deadlines.check(dag, now);
    }
    const { runs, dags, ttl_ms } = this.options;
    if (await runs.hasDueRuns({ now, ttl_ms, ...activeLimits(dags.values()) })) this.options.dispatch();
    return { leading, created };
  }

  private async createDue(dag: Dag<Services>, now: number): Promise<number> {
    if (dag.schedule === undefined) return 0;
    const last = await this.options.runs.lastScheduled({ dag_id: dag.id, until: iso(now) });
    // Occurrences before any scheduler knew the dag were not missed.
    const since = last === null
      ? await this.options.runs.firstSeen({ dag_id: dag.id, now })
      : Date.parse(last);
    const due = dueOccurrences({
      schedule: dag.schedule,
      since,
      now,
      tolerance_ms: this.options.ttl_ms,
      limit: 100,
    });
    let created = 0;
    for (const occurrence of due) {
      if (await createScheduledRun({ dag, runs: this.options.runs, clock: this.options.clock, occurrence })) {
        created++;
      }
    }
    return created;
  }

  /** A run that is queued will see what was written meanwhile, so there is one at most. */
  private async createByDatasets(dag: Dag<Services>, now: number): Promise<number> {
    const { on_datasets: schedule, id: dag_id } = dag;
    if (schedule === undefined) return 0;
    const { runs, clock } = this.options;
    const [last = null] = await runs.runs({ dag_id, trigger: "dataset", limit: 1 });
    if (last?.state === "queued") return 0;
    // Writes before any scheduler knew the dag do not start it.
    const since = last?.created_at ?? iso(await runs.firstSeen({ dag_id, now }));
    const writes = await runs.datasetWrites({ datasets: datasetsOf(schedule).map(datasetKey) });
    const occurrence = dueByDatasets({ dag_id, schedule, writes, last, since });
    if (occurrence === null) return 0;
    return Number(await createDatasetRun({ dag, runs, clock, occurrence, since }));
  }

  /** Ticks until the signal is aborted. A tick that fails is reported, and the next one follows. */
  async run(signal: AbortSignal, report: (error: unknown) => void): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.tick();
      } catch (error) {
        report(error);
      }
      await sleep(this.options.tick_ms, signal);
    }
    await this.resign().catch(report);
  }

  /** Gives the lead up, so that another process need not wait for it to expire. */
  private async resign(): Promise<void> {
    const { runs, owner, clock } = this.options;
    if ((await runs.leader())?.owner !== owner) return;
    await runs.lead({ owner, now: clock.now(), ttl_ms: 0, lag_ms: 0 });
  }
}
