import { ParleyError } from "./errors.ts";
import type { Abortable } from "./types.ts";

/**
 * Settles as `work` does, or rejects by the signal's reason as soon as that is aborted; before, where it is aborted
 * already. What `work` began goes on unless it heeds the signal itself; how that ends is nobody's concern any more.
 */
export async function abortable<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
  if (signal === undefined) return await work();
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const stopListening = onAbort(signal, () => reject(signal.reason));
  try {
    return await Promise.race([work(), aborted]);
  } finally {
    stopListening();
  }
}

/** Calls `act` when the signal is aborted, unless it is told to stop listening before. */
export function onAbort(signal: AbortSignal | undefined, act: () => void): () => void {
  signal?.addEventListener("abort", act, { once: true });
  return () => signal?.removeEventListener("abort", act);
}

/** Waits for so many milliseconds, or until the signal is aborted; not at all if it is already. Never rejects. */
export async function sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  if (signal?.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  const stopListening = onAbort(signal, resolve);
  await promise;
  clearTimeout(timer);
  stopListening();
}

/** Lets timers, signals and sockets have their turn, which costs microseconds; then heeds the caller's signal. */
export async function yieldToEventLoop({ signal }: Abortable = {}): Promise<void> {
  await new Promise<void>((resume) => setImmediate(resume));
  signal?.throwIfAborted();
}

/** What `work` comes to, or `unavailable` once it takes longer than so many milliseconds. The work itself continues. */
export async function inTime<T>(ms: number, work: () => Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new ParleyError("unavailable", `timed out after ${ms} ms`)), ms);
  try {
    return await Promise.race([work(), late]);
  } finally {
    clearTimeout(timer);
  }
}
