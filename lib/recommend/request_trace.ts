import { markFailed, withSpan } from "../telemetry/tracing.ts";
import type { AnswerStore } from "./answer.ts";
import type { StoreName, StorePolicies } from "./store_policy.ts";

/** What `Server-Timing` tells apart. */
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
  /** What a store failed with, the first time. */
  readonly failures = new Map<StoreName, unknown>();

  private readonly began = performance.now();
  private readonly deadline: number;

  /** Begins now; stages together may take `answer_ms`. */
  constructor(private readonly guards: StorePolicies, answer_ms: number) {
    this.deadline = this.began + answer_ms;
  }

  /**
   * Runs `body` under the store's guard; if that fails, notes it and returns `fallback`. `body` hands its signal to
   * the store, so that nothing continues there once the stage's time is over. A store that failed is not asked again.
   */
  async callStore<T, F>(
    store: StoreName,
    fallback: F,
    body: (signal: AbortSignal) => Promise<T>,
  ): Promise<T | F> {
    if (this.failures.has(store)) return fallback;
    try {
      return await this.guards[store].run(body, this.deadline - performance.now());
    } catch (error) {
      markFailed(error, { "parley.store": store });
      if (!this.failures.has(store)) this.failures.set(store, error);
      return fallback;
    }
  }

  /** Adds the time that `body` takes to a stage, and makes it a span where requests are traced. */
  async timed<T>(stage: Stage, body: () => T | Promise<T>): Promise<T> {
    const start = performance.now();
    try {
      return await withSpan(stage, {}, async () => await body());
    } finally {
      const end = performance.now();
      this.timings.set(stage, (this.timings.get(stage) ?? 0) + end - start);
      this.steps.push({ stage, from_ms: start - this.began, to_ms: end - this.began });
    }
  }

  /** Stores whose part is missing. The cache is none: without it an answer is slower, not poorer. */
  missing(): AnswerStore[] {
    return [...this.failures.keys()].filter((store) => store !== "cache");
  }
}
