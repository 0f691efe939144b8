import type { Abortable, Health, HealthOptions } from "../../core/types.ts";
import type { SqlDatabase } from "./sql.ts";

/** What the stores in SQL have in common. */
export abstract class SqlStore {
  protected constructor(protected readonly db: SqlDatabase) {}

  inBulk<T>(work: () => Promise<T>): Promise<T> {
    return this.db.inBulk(work);
  }

  compact(options: Abortable = {}): Promise<void> {
    return this.db.compact(options);
  }

  health(options: HealthOptions = {}): Promise<Health> {
    return this.db.health(options);
  }

  close(): Promise<void> {
    return this.db.close();
  }
}
