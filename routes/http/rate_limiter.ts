import {
  circuitBreaker,
  ConsecutiveBreaker,
  handleAll,
  loadRateLimiter,
  type RateLimiterAbstract,
} from "../../deps.ts";
import { withTimeout } from "../../lib/core/abort.ts";
import type { Cache } from "../../lib/stores/cache/port.ts";
import { HttpError } from "./problem.ts";

const WINDOW_S = 60;
/** How long the shared count may take, until the request is counted by this process alone. */
const COUNT_MS = 100;
/** Failures in a row after which the shared count is not tried, and for how long. */
const MAX_FAILURES = 3;
const OPEN_MS = 1_000;

/** The headers of the IETF's draft "RateLimit header fields for HTTP" (version 06). */
export type RateLimitHeaders = Readonly<
  Record<"ratelimit-limit" | "ratelimit-remaining" | "ratelimit-reset", string>
>;

/**
 * Limits the requests of each key to so many in a minute from its first one. All processes on one Redis count together; while it
 * is down, each counts alone.
 */
export class RateLimiter {
  private limiter: Promise<RateLimiterAbstract> | null = null;

  constructor(
    private readonly options: {
      readonly per_minute: number;
      readonly cache: Pick<Cache, "evaluate">;
    },
  ) {}

  /**
   * Counts a request. `who` names a key, and is no secret.
   *
   * @throws 429 with `Retry-After` if the key has used up its requests.
   */
  async count(who: string): Promise<RateLimitHeaders> {
    const limiter = await (this.limiter ??= this.open());
    try {
      return this.headers(await limiter.consume(who));
    } catch (refused) {
      // The library rejects with a result, or with an error if something is wrong.
      if (refused instanceof Error) throw refused;
      const headers = this.headers(refused as Count);
      throw new HttpError(429, "rate_limited", `more than ${this.options.per_minute} requests in a minute`, {
        ...headers,
        "retry-after": headers["ratelimit-reset"],
      });
    }
  }

  private headers({ remainingPoints, msBeforeNext }: Count): RateLimitHeaders {
    return {
      "ratelimit-limit": `${this.options.per_minute}`,
      "ratelimit-remaining": `${remainingPoints}`,
      "ratelimit-reset": `${Math.max(1, Math.ceil(msBeforeNext / 1_000))}`,
    };
  }

  private async open(): Promise<RateLimiterAbstract> {
    const { RateLimiterMemory, RateLimiterRedis } = await loadRateLimiter();
    const { per_minute, cache } = this.options;
    const options = { points: per_minute, duration: WINDOW_S, keyPrefix: "rate" };
    const local = new RateLimiterMemory(options);
    if (cache.evaluate === undefined) return local;
    const evaluate = cache.evaluate.bind(cache);
    const breaker = circuitBreaker(handleAll, {
      halfOpenAfter: OPEN_MS,
      breaker: new ConsecutiveBreaker(MAX_FAILURES),
    });
    // The form of calls of the package `redis`, whose only one is this.
    const storeClient = {
      eval: (script: string, { keys, arguments: args }: { keys: string[]; arguments: string[] }) =>
        breaker.execute(() => withTimeout(COUNT_MS, () => evaluate({ script, keys, args }))),
    };
    return new RateLimiterRedis({ ...options, storeClient, useRedisPackage: true, insuranceLimiter: local });
  }
}

interface Count {
  readonly remainingPoints: number;
  readonly msBeforeNext: number;
}
