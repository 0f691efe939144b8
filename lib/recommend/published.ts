import type { Clock } from "../core/clock.ts";
import type { Abortable, Published } from "../core/types.ts";
import type { AnalyticsStore } from "../stores/analytics/port.ts";

/** How long the published row is taken as read, in milliseconds. */
const MAX_AGE_MS = 250;

/** The published data version, read at most every 250 ms however many requests ask. */
export class PublishedReader {
  private last: Promise<Published | null> | null = null;
  private row: Published | null = null;
  private readAt = -Infinity;

  constructor(private readonly o: { analytics: Pick<AnalyticsStore, "published">; clock: Clock }) {}

  /** The published row where one was read within the last 250 ms, else null: then ask {@link current}. */
  recent(): Published | null {
    return this.isRecent() ? this.row : null;
  }

  /**
   * The published row; null where nothing is published yet. A store that fails leaves the row known before standing;
   * its error is thrown only where no row is known. Who asks while it is being read shares that reading, and its signal.
   */
  current(o: Abortable = {}): Promise<Published | null> {
    if (this.last !== null && this.isRecent()) return this.last;
    this.readAt = this.o.clock.now();
    return this.last = this.read(o);
  }

  /** The published row as it was read last, however long ago; null if it never was. */
  known(): Published | null {
    return this.row;
  }

  private isRecent(): boolean {
    return this.o.clock.now() - this.readAt < MAX_AGE_MS;
  }

  private async read(o: Abortable): Promise<Published | null> {
    try {
      this.row = await this.o.analytics.published(o);
    } catch (error) {
      if (this.row === null) throw error;
    }
    return this.row;
  }
}
