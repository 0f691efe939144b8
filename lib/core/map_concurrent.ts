import { onAbort } from "./abort.ts";

/**
 * Works on the items, `lanes` of them at a time, until all are done, one fails, or the signal aborts. `work` gets a signal
 * that aborts in the two latter cases too; all work has ended when this returns or throws.
 */
export async function mapConcurrent<T>(options: {
  items: readonly T[];
  concurrency: number;
  signal: AbortSignal | undefined;
  work: (item: T, signal: AbortSignal) => Promise<void>;
}): Promise<void> {
  const stop = new AbortController();
  const stopListening = onAbort(options.signal, () => stop.abort(options.signal?.reason));
  const items = options.items.values();
  const runWorker = async () => {
    try {
      for (const item of items) {
        stop.signal.throwIfAborted();
        await options.work(item, stop.signal);
      }
    } catch (error) {
      stop.abort(error);
    }
  };
  await Promise.all(Array.from({ length: Math.min(options.concurrency, options.items.length) }, runWorker));
  stopListening();
  stop.signal.throwIfAborted();
}
