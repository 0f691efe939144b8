import type { Clock } from "../core/clock.ts";
import { ParleyError } from "../core/errors.ts";
import type { Abortable, Published } from "../core/types.ts";
import type { ReleaseStore } from "../stores/analytics/port.ts";

/** How long the published row is cached, in milliseconds. */
const MAX_AGE_MS = 250;

/** The published data version, read at most every 250 ms however many requests ask. */
export class PublishedReader {
  private last: Promise<Published | null> | null = null;
  private row: Published | null = null;
  private readAt = -Infinity;
  private isGone = false;

  /**
   * `onReplaced` is called if the published version goes back or is published by another run, as after a reset or a restored
   * backup.
   */
  constructor(
    private readonly options: {
      analytics: Pick<ReleaseStore, "published">;
      clock: Clock;
      onReplaced?: () => void;
    },
  ) {}

  /** The published row if it was read within the last 250 ms, else null: then call {@link current}. */
  recent(): Published | null {
    return this.isRecent() && !this.isGone ? this.row : null;
  }

  /**
   * The published row; null if nothing has been published. If the store fails, the row read before is returned, and the error
   * is thrown only without such a row. Throws `unavailable` if a row was read before and the store has none: its data were lost.
   * Concurrent calls share one read and its signal.
   */
  current(options: Abortable = {}): Promise<Published | null> {
    return this.last !== null && this.isRecent() ? this.last : this.reread(options);
  }

  /** {@link current}, read now even if the last read is recent. */
  reread(options: Abortable = {}): Promise<Published | null> {
    this.readAt = this.options.clock.now();
    return this.last = this.read(options);
  }

  /** The published row as last read, however long ago; null if it was never read. */
  lastKnown(): Published | null {
    return this.row;
  }

  private isRecent(): boolean {
    return this.options.clock.now() - this.readAt < MAX_AGE_MS;
  }

  private async read(options: Abortable): Promise<Published | null> {
    const row = await this.options.analytics.published(options).catch((error) => {
      if (this.row === null) throw error;
      return this.row;
    });
    this.isGone = row === null && this.row !== null;
    if (this.isGone) throw lostError(this.row!);
    if (row !== null && this.row !== null && isReplaced(row, this.row)) this.options.onReplaced?.();
    return this.row = row;
  }
}

function isReplaced(row: Published, before: Published): boolean {
  return row.version <= before.version && (row.version < before.version || row.run_id !== before.run_id);
}

function lostError({ version }: Published): ParleyError {
  return new ParleyError(
    "unavailable",
    `data version ${version} was published and is gone: an empty analytics store is in the place of the one that had it`,
  );
}
