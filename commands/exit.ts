import { messageOf, ParleyError } from "../lib/core/errors.ts";
import type { RunOutcome } from "../lib/dag/options.ts";

/** What the exit codes of every command mean; the README's table says the same. */
export const EXIT = Object.freeze({
  ok: 0,
  failed: 1,
  usage: 2,
  cancelled: 3,
  interrupted: 130,
  /** Of `run-task` alone: an engine outside must not try again. */
  task_final: 98,
  task_skipped: 99,
});

export function exitCodeOf(outcome: RunOutcome | null): number {
  switch (outcome) {
    case null:
    case "success":
      return EXIT.ok;
    case "failed":
    case "lost":
      return EXIT.failed;
    case "cancelled":
      return EXIT.cancelled;
    case "interrupted":
      return EXIT.interrupted;
  }
}

/** Prints an error as one sentence and returns the exit code for it. Anything unforeseen keeps its stack. */
export function report(error: unknown): number {
  if (error instanceof ParleyError) {
    console.error(`parley: ${error.message}`);
    return error.code === "invalid" || error.code === "denied" ? EXIT.usage : EXIT.failed;
  }
  if (error instanceof Deno.errors.NotCapable) {
    console.error(`parley: a permission is missing: ${messageOf(error)}`);
    return EXIT.usage;
  }
  console.error(error);
  return EXIT.failed;
}

/** A signal that SIGINT and SIGTERM abort. A second one ends the process at once. */
export function shutdownSignal(): { signal: AbortSignal; dispose(): void } {
  const controller = new AbortController();
  const onSignal = () => {
    if (controller.signal.aborted) Deno.exit(EXIT.interrupted);
    controller.abort();
  };
  for (const name of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(name, onSignal);
  const dispose = () => {
    for (const name of ["SIGINT", "SIGTERM"] as const) Deno.removeSignalListener(name, onSignal);
  };
  return { signal: controller.signal, dispose };
}
