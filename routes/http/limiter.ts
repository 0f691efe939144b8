import { bulkhead, isBulkheadRejectedError, timeout, TimeoutStrategy } from "../../deps.ts";
import { abortable } from "../../lib/core/abort.ts";
import { HttpError } from "./problem.ts";

interface LimiterOptions {
  /** Requests at one time, and those that wait. */
  readonly max_running: number;
  readonly max_queued: number;
  /** How long a request may take, with its time in the queue. */
  readonly timeout_ms: number;
  /** What to do if one takes longer, such as "try again". */
  readonly remedy: string;
}

const RETRY_AFTER_S = 5;

/**
 * Limits how many requests run and wait, and ends a request that is aborted or late, which frees its slot.
 *
 * @throws 503 with `Retry-After` if too many wait, or if it takes too long.
 */
export function limiter({ max_running, max_queued, timeout_ms, remedy }: LimiterOptions) {
  const slots = bulkhead(max_running, max_queued);
  const deadline = timeout(timeout_ms, TimeoutStrategy.Cooperative);
  return <T>(work: (signal: AbortSignal) => Promise<T>, request: AbortSignal): Promise<T> =>
    deadline.execute(async ({ signal }) => {
      const start = () => abortable(signal, () => work(signal));
      try {
        return await abortable(signal, () => slots.execute(start, signal));
      } catch (error) {
        if (isBulkheadRejectedError(error)) throw retryLater("too many requests at once: try again");
        if (!signal.aborted || request.aborted) throw error;
        throw retryLater(`it took more than ${timeout_ms / 1_000} s: ${remedy}`);
      }
    }, request);
}

function retryLater(detail: string): HttpError {
  return new HttpError(503, "unavailable", detail, { "retry-after": String(RETRY_AFTER_S) });
}
