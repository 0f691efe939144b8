import type { Clock } from "../core/clock.ts";
import { ParleyError } from "../core/errors.ts";
import type { Abortable, Published } from "../core/types.ts";
import type { ReleaseStore } from "../stores/analytics/port.ts";

/** How long the published row is taken as read, in milliseconds. */
const MAX_AGE_MS = 250;

/** The published data version, read at most every 250 ms however many requests ask. */
export class PublishedReader {
  private last: Promise<Published | null> | null = null;
  private row: Published | null = null;
  private readAt = -Infinity;
  private isGone = false;

  /** `onReplaced` is called when a row comes in the place of one as new or newer: by a reset or a backup the data are others. */
  constructor(
    private readonly options: {
      analytics: Pick<ReleaseStore, "published">;
      clock: Clock;
      onReplaced?: () => void;
    },
  ) {}

  /** The published row where one was read within the last 250 ms, else null: then ask {@link current}. */
  recent(): Published | null {
    return this.isRecent() && !this.isGone ? this.row : null;
  }

  /**
   * The published row; null where nothing is published yet. A store that fails leaves the row known before standing;
   * its error is thrown only where no row is known. Throws `unavailable` if a row was known and the store has none: its
   * data were lost, and an empty store is in their place. Who asks while it is being read shares that reading, and its
   * signal.
   */
  current(options: Abortable = {}): Promise<Published | null> {
    return this.last !== null && this.isRecent() ? this.last : this.reread(options);
  }

  /** {@link current}, read now however new the last reading is. */
  reread(options: Abortable = {}): Promise<Published | null> {
    this.readAt = this.options.clock.now();
    return this.last = this.read(options);
  }

  /** The published row as it was read last, however long ago; null if it never was. */
  known(): Published | null {
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
    if (this.isGone) throw lost(this.row!);
    if (row !== null && this.row !== null && isOther(row, this.row)) this.options.onReplaced?.();
    return this.row = row;
  }
}

function isOther(row: Published, before: Published): boolean {
  return row.version <= before.version && (row.version < before.version || row.run_id !== before.run_id);
}

function lost({ version }: Published): ParleyError {
  return new ParleyError(
    "unavailable",
    `data version ${version} was published and is gone: an empty analytics store is in the place of the one that had it`,
  );
}
