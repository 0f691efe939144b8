import {
  circuitBreaker,
  CircuitState,
  ConsecutiveBreaker,
  handleWhen,
  isBrokenCircuitError,
} from "../../deps.ts";
import { abortable, onAbort } from "../core/abort.ts";
import { ParleyError } from "../core/errors.ts";

/** How long an answer may take in all, in milliseconds, where nothing else is set. */
export const ANSWER_MS = 250;

/**
 * The share of that which one stage of one store may take: with any one store hung, there is time for the others. What
 * an answer needs most may take longest.
 */
const SHARES = Object.freeze({ cache: 0.15, vectors: 0.4, graph: 0.4, analytics: 0.6 });
export type StoreName = keyof typeof SHARES;

/** So many failures in a row open the circuit; after so many milliseconds one call tries again. */
const FAILURES = 5;
const OPEN_MS = 1_000;
/** What that one call may take, where its stage may take less: a store that is back may have to be connected to anew. */
const TRIAL_MS = 1_000;

/** Turns of the microtask queue within which a store that lives in this process has answered. */
const TURNS = 32;

/** A store that answers with a refusal is not down; only silence, slowness and the unforeseen open its circuit. */
function isOutage(error: unknown): boolean {
  return !(error instanceof ParleyError) || error.code === "unavailable";
}

/** One store's time budget and circuit breaker. Made once an app, so that its requests learn from each other. */
class StorePolicy {
  private readonly breaker = circuitBreaker(handleWhen(isOutage), {
    halfOpenAfter: OPEN_MS,
    breaker: new ConsecutiveBreaker(FAILURES),
  });

  /** Whether the one call that tries again takes longer than its caller had time for. */
  private overdue = false;

  constructor(private readonly budget_ms: number) {}

  /** Whether calls are kept from the store, because it failed several times in a row. */
  get isOpen(): boolean {
    return this.breaker.state !== CircuitState.Closed;
  }

  /** Runs `body` for as long as the stage may take, and no longer than `left_ms`: then its signal is aborted. */
  run<T>(body: (signal: AbortSignal) => Promise<T>, left_ms = Infinity): Promise<T> {
    const within = Math.min(this.budget_ms, left_ms);
    if (within <= 0) return Promise.reject(new ParleyError("unavailable", "no time was left for this stage"));
    if (!this.isOpen) return this.unlessOpen(() => this.inTime(body, within));
    if (this.overdue) return Promise.reject(notBack());
    return this.inTime((signal) => this.unlessOpen(() => this.tryAgain(body, signal), signal), within);
  }

  private unlessOpen<T>(call: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    return this.breaker.execute(call, signal).catch((error) => {
      throw isBrokenCircuitError(error) ? notBack() : error;
    });
  }

  /**
   * Sees whether the store is back, and goes on when the caller has given up: cut short, it would show nothing but that
   * connecting takes longer than answering. Until then other calls wait for how it ends.
   */
  private async tryAgain<T>(body: (signal: AbortSignal) => Promise<T>, givenUp: AbortSignal): Promise<T> {
    const stopListening = onAbort(givenUp, () => this.overdue = true);
    try {
      return await this.inTime(body, Math.max(TRIAL_MS, this.budget_ms));
    } finally {
      stopListening();
      this.overdue = false;
    }
  }

  /** A timer costs as much as a cached answer, forty times a signal, so only a call that waits gets one. */
  private async inTime<T>(body: (signal: AbortSignal) => Promise<T>, within_ms: number): Promise<T> {
    const controller = new AbortController();
    const pending = body(controller.signal);
    let settled = false;
    const settle = () => {
      settled = true;
    };
    pending.then(settle, settle);
    for (let turn = 0; turn < TURNS && !settled; turn++) await null;
    if (settled) return await pending;
    const timer = setTimeout(() => controller.abort(late(within_ms)), within_ms);
    try {
      return await abortable(controller.signal, () => pending);
    } finally {
      clearTimeout(timer);
    }
  }
}

function notBack(): ParleyError {
  return new ParleyError("unavailable", "the store has not come back yet");
}

function late(within_ms: number): ParleyError {
  return new ParleyError("unavailable", `the stage timed out after ${Math.round(within_ms)} ms`);
}

export type StorePolicies = Readonly<Record<StoreName, StorePolicy>>;

/** Guards for answers that may take `answer_ms` in all. */
export function createStorePolicies(answer_ms = ANSWER_MS): StorePolicies {
  const guard = (store: StoreName) => new StorePolicy(SHARES[store] * answer_ms);
  return {
    cache: guard("cache"),
    vectors: guard("vectors"),
    graph: guard("graph"),
    analytics: guard("analytics"),
  };
}
