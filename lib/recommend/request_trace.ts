import { markFailed, withSpan } from "../telemetry/tracing.ts";
import { ParleyError } from "../core/errors.ts";
import type { AnswerStore } from "./answer.ts";
import type { StoreName, StorePolicies } from "./store_policy.ts";

/** A stage in `Server-Timing`. */
export type Stage = StoreName | "rank";

/** When a stage ran, in milliseconds from the beginning of its trace. A stage may run more than once. */
export interface Step {
  readonly stage: Stage;
  readonly from_ms: number;
  readonly to_ms: number;
}

/** What happened while one request was answered: how long each stage took, and which stores failed. */
export class RequestTrace {
  /** Milliseconds by stage, in the order in which the stages first ran. */
  readonly timings = new Map<Stage, number>();
  /** Each stage as it ran, in the order in which they ended. */
  readonly steps: Step[] = [];
  /** The first error of each store. */
  readonly failures = new Map<StoreName, unknown>();
  /** By store, what of it was not in memory yet. */
  readonly incomplete = new Map<AnswerStore, unknown>();

  private readonly startedAt = performance.now();
  private deadline: number;

  /** Begins now; stages together may take `answer_ms`. */
  constructor(private readonly policies: StorePolicies, readonly answer_ms: number) {
    this.deadline = this.startedAt + answer_ms;
  }

  /**
   * Runs `body` under the store's policy; if it fails, records the error and returns `fallback`. `body` passes its signal to
   * the store, so that the store stops when the stage's time is over. A store that failed is not called again.
   */
  async callStore<T, F>(
    store: StoreName,
    fallback: F,
    body: (signal: AbortSignal) => Promise<T>,
  ): Promise<T | F> {
    if (this.failures.has(store)) return fallback;
    try {
      return await this.policies[store].run(body, this.deadline - performance.now());
    } catch (error) {
      markFailed(error, { "parley.store": store });
      if (!this.failures.has(store)) this.failures.set(store, error);
      return fallback;
    }
  }

  /** As {@link callStore}; adds the time to the stage of that store. */
  callTimed<T, F>(store: StoreName, fallback: F, body: (signal: AbortSignal) => Promise<T>): Promise<T | F> {
    return this.timed(store, () => this.callStore(store, fallback, body));
  }

  /** Leaves this share of the time for an answer from now on, at least, to what no answer can do without. */
  leaveTime(share: number): void {
    this.deadline = Math.max(this.deadline, performance.now() + share * this.answer_ms);
  }

  /** Whether less than this share of the time for an answer is over. */
  hasTime(share: number): boolean {
    return performance.now() - this.startedAt < share * this.answer_ms;
  }

  /** Records that a part is missing that could not even be asked for. */
  markMissing(store: StoreName, reason: string): void {
    if (!this.failures.has(store)) this.failures.set(store, new ParleyError("unavailable", reason));
  }

  /** Records that a part of a store is missing that is being read; the store is asked for other parts. */
  markIncomplete(store: AnswerStore, reason: string): void {
    this.incomplete.set(store, new ParleyError("unavailable", reason));
  }

  /** Adds the time of `body` to a stage, and creates a span if tracing is on. */
  async timed<T>(stage: Stage, body: () => T | Promise<T>): Promise<T> {
    const start = performance.now();
    try {
      return await withSpan(stage, {}, async () => await body());
    } finally {
      const end = performance.now();
      this.timings.set(stage, (this.timings.get(stage) ?? 0) + end - start);
      this.steps.push({ stage, from_ms: start - this.startedAt, to_ms: end - this.startedAt });
    }
  }

  /** Stores whose part is missing. The cache is not one of them: without it an answer is only slower. */
  missing(): AnswerStore[] {
    const stores = new Set<StoreName | AnswerStore>([...this.failures.keys(), ...this.incomplete.keys()]);
    return [...stores].filter((store) => store !== "cache");
  }
}
