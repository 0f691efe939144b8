import { ParleyError } from "./errors.ts";
import type { Abortable } from "./types.ts";

/**
 * Settles as `work` does, or rejects with the signal's reason as soon as the signal is aborted. If it is aborted already,
 * `work` is not called. Work that ignores the signal continues; its result is dropped.
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

/** Calls `act` when the signal is aborted. Returns a function that removes the listener. */
export function onAbort(signal: AbortSignal | undefined, listener: () => void): () => void {
  signal?.addEventListener("abort", listener, { once: true });
  return () => signal?.removeEventListener("abort", listener);
}

/** Waits for `ms` milliseconds or until the signal is aborted. Never rejects. */
export async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  const stopListening = onAbort(signal, resolve);
  await promise;
  clearTimeout(timer);
  stopListening();
}

/** Lets timers, signals and sockets run, which costs microseconds. Throws the signal's reason if it is aborted. */
export async function yieldToEventLoop({ signal }: Abortable = {}): Promise<void> {
  await new Promise<void>((resume) => setImmediate(resume));
  signal?.throwIfAborted();
}

/** The result of `work`; rejects with `unavailable` after `ms` milliseconds, and aborts the signal. Work that ignores it continues. */
export async function withTimeout<T>(ms: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const timer = setTimeout(
    () => controller.abort(new ParleyError("unavailable", `timed out after ${ms} ms`)),
    ms,
  );
  try {
    return await abortable(controller.signal, () => work(controller.signal));
  } finally {
    clearTimeout(timer);
  }
}
