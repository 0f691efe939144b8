import { onAbort } from "../lib/core/abort.ts";
import { causeOf, causesOf, ParleyError, stackFrames } from "../lib/core/errors.ts";
import type { RunOutcome } from "../lib/dag/options.ts";

/** The exit codes of all commands; docs/commands.md describes them. */
export const EXIT = Object.freeze({
  ok: 0,
  failed: 1,
  usage: 2,
  cancelled: 3,
  /** Of `backup` and `reset`: the command names the stores that were not copied or removed. */
  partial: 4,
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

export function warn(line: string): void {
  console.error(`parley: ${line}`);
}

/**
 * Prints an error as one sentence and returns the exit code for it. Of anything unforeseen it prints the name and where in
 * this program it came up: the message may quote data or a secret.
 */
export function printError(error: unknown): number {
  if (error instanceof ParleyError) {
    warn(error.message);
    return error.code === "invalid" || error.code === "denied" ? EXIT.usage : EXIT.failed;
  }
  if (error instanceof Deno.errors.NotCapable) {
    warn(`a permission is missing: ${error.message}`);
    return EXIT.usage;
  }
  warn(`unexpected error: ${causeOf(error)}`);
  const frames = error instanceof Error ? stackFrames(error).slice(1).map((frame) => `at ${frame}`) : [];
  for (const line of [...frames, ...causesOf(error)]) console.error(`    ${line}`);
  return EXIT.failed;
}

/**
 * After a shutdown request, prints what the process waits for and how not to wait: to standard output, like the URL of a service,
 * since standard error of a service is a log of JSON lines.
 */
export function announceStop(
  signal: AbortSignal,
  waitsFor: () => string,
  print: (line: string) => void = console.log,
): void {
  const announce = () => print(`Stopping: ${waitsFor()}. Another Ctrl-C ends it at once.`);
  if (signal.aborted) announce();
  onAbort(signal, announce);
}

/** One Ctrl-C can arrive more than once: a terminal signals all processes of its group, and `deno task` passes it on. */
const SAME_SIGNAL_MS = 500;

/** A signal that SIGINT and SIGTERM abort. A second one, which is not the same once more, ends the process at once. */
export function shutdownSignal(): { signal: AbortSignal; dispose(): void } {
  const controller = new AbortController();
  let first = 0;
  const onSignal = () => {
    if (!controller.signal.aborted) {
      first = performance.now();
      controller.abort();
    } else if (performance.now() - first > SAME_SIGNAL_MS) Deno.exit(EXIT.interrupted);
  };
  for (const name of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(name, onSignal);
  const dispose = () => {
    for (const name of ["SIGINT", "SIGTERM"] as const) Deno.removeSignalListener(name, onSignal);
  };
  return { signal: controller.signal, dispose };
}
