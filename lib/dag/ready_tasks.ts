/** What decides when a ready task starts. */
interface Readiness {
  readonly pool: string;
  /** Higher comes first. */
  readonly priority: number;
  /** The mapped task that it is an instance of, which may have a limit of its own; null if it is of none. */
  readonly group: string | null;
  /** Epoch milliseconds. */
  readonly ready_at: number;
}

interface Bucket extends Omit<Readiness, "ready_at"> {
  readonly ids: Set<string>;
}

/**
 * The tasks that may start: those that are due, in buckets by pool, priority and group, first in first out; and those that wait for a
 * retry. The cost of {@link due} grows with what it returns, not with what waits.
 */
export class ReadyTasks {
  /** Higher priority first. */
  private readonly buckets: Bucket[] = [];
  private readonly bucketOf = new Map<string, Bucket>();
  private readonly later = new Map<string, Readiness>();
  private soonest = Infinity;

  add(id: string, readiness: Readiness): void {
    this.delete(id);
    if (readiness.ready_at === 0) return this.enqueue(id, readiness);
    this.later.set(id, readiness);
    this.soonest = Math.min(this.soonest, readiness.ready_at);
  }

  delete(id: string): void {
    this.bucketOf.get(id)?.ids.delete(id);
    this.bucketOf.delete(id);
    this.later.delete(id);
  }

  /** Ids that are due, up to `limit` of each pool, and up to `room` of a group: a full one must not hide the others. */
  due(now: number, limit: number, room: (group: string) => number = () => Infinity): string[] {
    if (limit <= 0) return [];
    this.moveDue(now);
    const dueIds: string[] = [];
    const capacities = new Map<string, number>();
    for (const { pool, group, ids } of this.buckets) {
      const capacity = capacities.get(pool) ?? limit;
      const taken = ids.values().take(
        Math.max(0, Math.min(capacity, group === null ? Infinity : room(group))),
      ).toArray();
      dueIds.push(...taken);
      capacities.set(pool, capacity - taken.length);
    }
    return dueIds;
  }

  /** When the next retry is due; null if no task waits for one. */
  nextAt(): number | null {
    return this.later.size === 0 ? null : this.soonest;
  }

  private moveDue(now: number): void {
    if (now < this.soonest) return;
    for (const [id, readiness] of this.later) {
      if (readiness.ready_at > now) continue;
      this.later.delete(id);
      this.enqueue(id, readiness);
    }
    this.soonest = [...this.later.values()].reduce(
      (soonest, { ready_at }) => Math.min(soonest, ready_at),
      Infinity,
    );
  }

  private enqueue(id: string, { pool, priority, group }: Readiness): void {
    let bucket = this.buckets.find((other) =>
      other.pool === pool && other.priority === priority && other.group === group
    );
    if (bucket === undefined) {
      bucket = { pool, priority, group, ids: new Set() };
      this.buckets.push(bucket);
      this.buckets.sort((a, b) => b.priority - a.priority);
    }
    bucket.ids.add(id);
    this.bucketOf.set(id, bucket);
  }
}
