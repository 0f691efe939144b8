/** What decides when a ready task has its turn. */
interface Readiness {
  readonly pool: string;
  /** Higher comes first. */
  readonly priority: number;
  /** Epoch milliseconds. */
  readonly ready_at: number;
}

interface Bucket extends Omit<Readiness, "ready_at"> {
  readonly ids: Set<string>;
}

/**
 * The tasks that may start: those that are due in lanes, one for each pool and priority, in the order in which they
 * came; those that wait for a retry apart. Asking costs by what is given out, not by what waits.
 */
export class ReadyTasks {
  /** Higher priority first. */
  private readonly buckets: Bucket[] = [];
  private readonly bucketOf = new Map<string, Bucket>();
  private readonly later = new Map<string, Readiness>();
  private soonest = Infinity;

  add(id: string, turn: Readiness): void {
    this.delete(id);
    if (turn.ready_at === 0) return this.enqueue(id, turn);
    this.later.set(id, turn);
    this.soonest = Math.min(this.soonest, turn.ready_at);
  }

  delete(id: string): void {
    this.bucketOf.get(id)?.ids.delete(id);
    this.bucketOf.delete(id);
    this.later.delete(id);
  }

  /** Ids that are due, up to `limit` of each pool: a pool without room must not hide the others. */
  due(now: number, limit: number): string[] {
    if (limit <= 0) return [];
    this.moveDue(now);
    const found: string[] = [];
    const left = new Map<string, number>();
    for (const { pool, ids } of this.buckets) {
      let room = left.get(pool) ?? limit;
      for (const id of ids) {
        if (room-- <= 0) break;
        found.push(id);
      }
      left.set(pool, Math.max(0, room));
    }
    return found;
  }

  /** When the next of those that wait for a retry is due; null where none waits. */
  nextAt(): number | null {
    return this.later.size === 0 ? null : this.soonest;
  }

  private moveDue(now: number): void {
    if (now < this.soonest) return;
    for (const [id, turn] of this.later) {
      if (turn.ready_at > now) continue;
      this.later.delete(id);
      this.enqueue(id, turn);
    }
    this.soonest = [...this.later.values()].reduce(
      (least, { ready_at }) => Math.min(least, ready_at),
      Infinity,
    );
  }

  private enqueue(id: string, { pool, priority }: Readiness): void {
    let lane = this.buckets.find((each) => each.pool === pool && each.priority === priority);
    if (lane === undefined) {
      lane = { pool, priority, ids: new Set() };
      this.buckets.push(lane);
      this.buckets.sort((a, b) => b.priority - a.priority);
    }
    lane.ids.add(id);
    this.bucketOf.set(id, lane);
  }
}
