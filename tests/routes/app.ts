import type { Hono } from "../../deps.ts";
import { ManualClock } from "../../lib/core/clock.ts";
import { type AppOptions, createApp } from "../../routes/app.ts";
import type { LogEntry } from "../../routes/http/endpoint.ts";
import { withContract } from "./contract.ts";
import { ANSWER_MS, NOW, openWorld, type World } from "../lib/recommend/world.ts";

export interface Opened {
  readonly app: Hono;
  readonly world: World;
  readonly clock: ManualClock;
  readonly log: readonly LogEntry[];
}

/** Registers a test that gets an app over real embedded stores, with some options replaced. */
export function appTest(
  name: string,
  body: (opened: Opened) => Promise<void>,
  options: {
    open?: () => Promise<World>;
    options?: (world: World) => Partial<AppOptions>;
    /** Of a test that limits requests, whose library has a timer for each key, which keeps no process alive. */
    sanitizeOps?: false;
  } = {},
) {
  const { sanitizeOps = true } = options;
  Deno.test({ name, sanitizeOps, sanitizeResources: sanitizeOps }, async () => {
    const world = await (options.open ?? openWorld)();
    const clock = new ManualClock(NOW);
    const log: LogEntry[] = [];
    try {
      const app = await createApp({
        stores: world.stores,
        clock,
        version: "1.2.3",
        keys: [],
        answer_ms: ANSWER_MS,
        log: (entry) => log.push(entry),
        ...options.options?.(world),
      });
      await body({ app: await withContract(app), world, clock, log });
    } finally {
      await world.close();
    }
  });
}
