/** Where the time comes from, so that tests can set it. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number;
}

export const systemClock: Clock = { now: () => Date.now() };

/** A clock that changes only by `advance`, for tests. */
export class ManualClock implements Clock {
  constructor(private at: number) {}
  now(): number {
    return this.at;
  }
  advance(ms: number): void {
    this.at += ms;
  }
}

export const DAY_MS = 86_400_000;

/** ISO 8601 in UTC with milliseconds. */
export function iso(ms: number): string {
  return new Date(ms).toISOString();
}

/** ISO time after which no timestamp is believed: clocks differ by a day at most. */
export function latestTime(now: number): string {
  return iso(now + DAY_MS);
}
