import {
  circuitBreaker,
  CircuitState,
  ConsecutiveBreaker,
  handleWhen,
  isBrokenCircuitError,
} from "../../deps.ts";
import { abortable, onAbort } from "../core/abort.ts";
import { ParleyError } from "../core/errors.ts";

/** Default time budget of an answer, in milliseconds. */
export const ANSWER_MS = 250;

/**
 * The share of it that one stage of one store may take: if one store hangs, there is time for the others. Stores that an answer
 * needs most may take longest.
 */
const TIME_SHARES = Object.freeze({
  cache: 0.15,
  vectors: 0.4,
  graph: 0.4,
  analytics: 0.6,
  documents: 0.4,
  embeddings: 0.6,
});
/** A store that answers are made from, or the embedding model. */
export type StoreName = keyof typeof TIME_SHARES;

/** Consecutive failures that open the circuit, and milliseconds after which one call tries again. */
const MAX_FAILURES = 5;
const OPEN_MS = 1_000;
/** How long that call may take at least: the store may have to be connected to again. */
const PROBE_MS = 1_000;

/** Microtask ticks within which an embedded store answers. */
const MAX_TICKS = 32;

/** A store that refuses a call is not down; only timeouts, outages and unexpected errors open its circuit. */
function isOutage(error: unknown): boolean {
  return !(error instanceof ParleyError) || error.code === "unavailable";
}

/** One store's time budget and circuit breaker, shared by all requests of an app. */
class StorePolicy {
  private readonly breaker = circuitBreaker(handleWhen(isOutage), {
    halfOpenAfter: OPEN_MS,
    breaker: new ConsecutiveBreaker(MAX_FAILURES),
  });

  /** Whether the probing call takes longer than its caller could wait. */
  private isProbeLate = false;

  constructor(private readonly budget_ms: number) {}

  /** Whether the circuit is open, because the store failed several times in a row. */
  get isOpen(): boolean {
    return this.breaker.state !== CircuitState.Closed;
  }

  /** Runs `body` for as long as the stage may take, and no longer than `left_ms`: then its signal is aborted. */
  run<T>(body: (signal: AbortSignal) => Promise<T>, left_ms = Infinity): Promise<T> {
    const within = Math.min(this.budget_ms, left_ms);
    if (within <= 0) return Promise.reject(new ParleyError("unavailable", "no time was left for this stage"));
    if (!this.isOpen) return this.throughBreaker(() => this.withTimeout(body, within));
    if (this.isProbeLate) return Promise.reject(stillDownError());
    return this.withTimeout((signal) => this.throughBreaker(() => this.probe(body, signal), signal), within);
  }

  private throughBreaker<T>(call: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    return this.breaker.execute(call, signal).catch((error) => {
      throw isBrokenCircuitError(error) ? stillDownError() : error;
    });
  }

  /**
   * Checks whether the store is back. It continues after the caller gave up, because connecting may take longer than answering.
   * Until it ends, other calls are refused.
   */
  private async probe<T>(body: (signal: AbortSignal) => Promise<T>, callerSignal: AbortSignal): Promise<T> {
    const stopListening = onAbort(callerSignal, () => this.isProbeLate = true);
    try {
      return await this.withTimeout(body, Math.max(PROBE_MS, this.budget_ms));
    } finally {
      stopListening();
      this.isProbeLate = false;
    }
  }

  /** A timer costs as much as a cached answer, so only a call that does not settle within {@link MAX_TICKS} gets one. */
  private async withTimeout<T>(body: (signal: AbortSignal) => Promise<T>, within_ms: number): Promise<T> {
    const controller = new AbortController();
    const pending = body(controller.signal);
    let isDone = false;
    const markDone = () => {
      isDone = true;
    };
    pending.then(markDone, markDone);
    for (let tick = 0; tick < MAX_TICKS && !isDone; tick++) await null;
    if (isDone) return await pending;
    const timer = setTimeout(() => controller.abort(timeoutError(within_ms)), within_ms);
    try {
      return await abortable(controller.signal, () => pending);
    } finally {
      clearTimeout(timer);
    }
  }
}

function stillDownError(): ParleyError {
  return new ParleyError("unavailable", "the store has not come back yet");
}

function timeoutError(within_ms: number): ParleyError {
  return new ParleyError("unavailable", `the stage timed out after ${Math.round(within_ms)} ms`);
}

export type StorePolicies = Readonly<Record<StoreName, StorePolicy>>;

/** Policies for answers that may take `answer_ms`. */
export function createStorePolicies(answer_ms = ANSWER_MS): StorePolicies {
  const policy = (store: StoreName) => new StorePolicy(TIME_SHARES[store] * answer_ms);
  return {
    cache: policy("cache"),
    vectors: policy("vectors"),
    graph: policy("graph"),
    analytics: policy("analytics"),
    documents: policy("documents"),
    embeddings: policy("embeddings"),
  };
}
