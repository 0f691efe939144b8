import { circuitBreaker, ConsecutiveBreaker, handleWhen, timeout, TimeoutStrategy } from "../../deps.ts";
import { ParleyError } from "../core/errors.ts";

/** How long a request waits for one stage of one store, in milliseconds. */
const BUDGET_MS = Object.freeze({ cache: 50, vectors: 250, graph: 250, analytics: 250 });
export type Guarded = keyof typeof BUDGET_MS;

/** So many failures in a row open the circuit; after so many milliseconds one call tries again. */
const FAILURES = 5;
const OPEN_MS = 1_000;

/** Turns of the microtask queue within which a store that lives in this process has answered. */
const TURNS = 32;

/** A store that answers with a refusal is not down; only silence, slowness and the unforeseen open its circuit. */
function isOutage(error: unknown): boolean {
  return !(error instanceof ParleyError) || error.code === "unavailable";
}

/** One store's time budget and circuit breaker. Made once an app, so that its requests learn from each other. */
class Guard {
  private readonly breaker = circuitBreaker(handleWhen(isOutage), {
    halfOpenAfter: OPEN_MS,
    breaker: new ConsecutiveBreaker(FAILURES),
  });
  private readonly timeout;

  constructor(budgetMs: number) {
    this.timeout = timeout(budgetMs, { strategy: TimeoutStrategy.Aggressive, abortOnReturn: false });
  }

  run<T>(body: () => Promise<T>): Promise<T> {
    return this.breaker.execute(() => this.inTime(body()));
  }

  /** A timer and its abort controller cost ten times a cached answer, so only a call that waits gets them. */
  private async inTime<T>(pending: Promise<T>): Promise<T> {
    let settled = false;
    const settle = () => {
      settled = true;
    };
    pending.then(settle, settle);
    for (let turn = 0; turn < TURNS && !settled; turn++) await null;
    return settled ? await pending : await this.timeout.execute(() => pending);
  }
}

export type Guards = Readonly<Record<Guarded, Guard>>;

export function createGuards(): Guards {
  return {
    cache: new Guard(BUDGET_MS.cache),
    vectors: new Guard(BUDGET_MS.vectors),
    graph: new Guard(BUDGET_MS.graph),
    analytics: new Guard(BUDGET_MS.analytics),
  };
}
