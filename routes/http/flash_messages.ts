import { counted } from "../../lib/core/text.ts";

/** What each action says when it is done. Figures come from the address and are read as numbers only. */
const NOTICES: Readonly<Record<string, (n: number, of: number) => string>> = Object.freeze({
  queued: () => "The run is queued.",
  reopened: (n) => `${counted(n, "task")} can be run again by the engine outside that drives this run.`,
  retried: (n) => `${counted(n, "task")} will run again.`,
  cancelling: () => "The run is being cancelled.",
  over: () => "The run was over already.",
  acknowledged: () => "Acknowledged: it does not count until the time that is shown.",
  unacknowledged: () => "It counts again.",
  paused: () => "The schedule is paused: it makes no runs. Runs under way are not touched.",
  unpaused: () => "The schedule is on again.",
  backfilled: (n, of) =>
    n === of
      ? `${counted(n, "run")} queued.`
      : `${counted(n, "run")} queued; ${of - n} of ${of} occurrences had theirs already.`,
});

/** The address to go to after an action, saying what it did. */
export function withFlash(path: string, notice: string, n = 0, of = n): string {
  return `${path}?${new URLSearchParams({ notice, n: String(n), of: String(of) })}`;
}

export function flashOf(query: URLSearchParams): string | null {
  const code = query.get("notice") ?? "";
  if (!Object.hasOwn(NOTICES, code)) return null;
  const figure = (name: string) => Math.max(0, Math.trunc(Number(query.get(name)) || 0));
  return NOTICES[code]!(figure("n"), figure("of"));
}
