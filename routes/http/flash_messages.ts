import { counted } from "../../lib/core/text.ts";

/** What an action says when it is done, by code. Only a code and numbers come from the address. */
const MESSAGES: Readonly<Record<string, (n: number, of: number) => string>> = Object.freeze({
  queued: () => "The run is queued.",
  reopened: (n) => `${counted(n, "task")} can be run again by the external engine that drives this run.`,
  retried: (n) => `${counted(n, "task")} will run again.`,
  marked: () => "Marked.",
  cleared: (n) => n === 0 ? "No such run had anything to run again." : `${counted(n, "run")} will run again.`,
  cancelling: () => "The run is being cancelled.",
  over: () => "The run had ended already.",
  acknowledged: () => "Acknowledged: it does not count until the time that is shown.",
  unacknowledged: () => "It counts again.",
  paused: () => "The schedule is paused: it starts no runs. Runs in progress continue.",
  unpaused: () => "The schedule is resumed.",
  backfilled: (n, of) =>
    n === of
      ? `${counted(n, "run")} queued.`
      : `${counted(n, "run")} queued; ${of - n} of ${of} occurrences had a run already.`,
  backfill_ended: (n) => `${counted(n, "run")} of the backfill cancelled.`,
});

/** The address after an action, with what the action did. */
export function withFlash(path: string, code: string, n = 0, of = n): string {
  return `${path}?${new URLSearchParams({ notice: code, n: String(n), of: String(of) })}`;
}

export function flashOf(query: URLSearchParams): string | null {
  const code = query.get("notice") ?? "";
  if (!Object.hasOwn(MESSAGES, code)) return null;
  const number = (name: string) => Math.max(0, Math.trunc(Number(query.get(name)) || 0));
  return MESSAGES[code]!(number("n"), number("of"));
}
