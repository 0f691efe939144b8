import assert from "node:assert/strict";
import axe from "axe-core";
import type { Browser, BrowserContext, BrowserContextOptions, Page } from "playwright-core";
import { builtInDags, engine, executeQueued } from "../../commands/engine.ts";
import { openServing } from "../../commands/services.ts";
import { systemClock } from "../../lib/core/clock.ts";
import type { ApiKey } from "../../lib/core/types.ts";
import { parseExperiments } from "../../lib/experiments/experiment_file.ts";
import type { ArmSettings } from "../../lib/experiments/report.ts";
import { createApp } from "../../routes/app.ts";
import { type Flow, withFlow } from "../fixtures/flow.ts";
import { ServingMetrics } from "../../lib/telemetry/serving_metrics.ts";
import type { ServingWindow } from "../../lib/telemetry/serving_window.ts";
import { NO_BROWSER, openBrowser, watch } from "./browser.ts";

/** A real service on a port of its own, and a browser that looks at it. */
export interface Opened {
  readonly flow: Flow;
  readonly origin: string;
  /** The minutes that the service counts. */
  readonly serving: ServingWindow;
  /** A page in a context of its own. It fails the test where its console complains or a request leaves the origin. */
  open(options?: BrowserContextOptions): Promise<{ page: Page; context: BrowserContext }>;
  /** Executes queued runs in this process. */
  work(): Promise<void>;
  /** Stops the service, does something, and starts it again where it was. */
  without(body: () => Promise<void>): Promise<void>;
}

/** Registers a test of pages in a real browser; skipped by name without one. */
export function browserTest(
  name: string,
  body: (opened: Opened) => Promise<void>,
  options: { keys?: readonly ApiKey[]; expected?: RegExp } = {},
) {
  const full = NO_BROWSER === null ? name : `${name} (skipped: ${NO_BROWSER})`;
  // The browser outlives each test.
  const leaves = { sanitizeOps: false, sanitizeResources: false };
  Deno.test({ name: full, ignore: NO_BROWSER !== null, ...leaves, fn: () => run(body, options) });
}

let browser: Promise<Browser> | null = null;
/** One browser for all tests, in which each has contexts of its own. */
const shared = () => browser ??= openBrowser();
Deno.test.afterAll(async () => (await browser)?.close());

async function run(
  body: (opened: Opened) => Promise<void>,
  { keys = [], expected }: { keys?: readonly ApiKey[]; expected?: RegExp },
): Promise<void> {
  await withFlow(async (flow) => {
    const metrics = new ServingMetrics(systemClock);
    const serve = (port = 0) => serveSite(flow, { keys, metrics, port });
    let site = await serve();
    const without = async (body: () => Promise<void>) => {
      await site.close();
      await body();
      site = await serve(Number(new URL(site.origin).port));
    };
    const opened: BrowserContext[] = [];
    const troubles: string[][] = [];
    const open = async (options: BrowserContextOptions = {}) => {
      const context = await (await shared()).newContext({
        locale: "en-GB",
        timezoneId: "Asia/Tokyo",
        ...options,
      });
      opened.push(context);
      const page = await context.newPage();
      troubles.push(watch(page, site.origin, expected));
      return { page, context };
    };
    try {
      await body({
        flow,
        origin: site.origin,
        serving: metrics.window,
        open,
        work: () => drainQueue(flow),
        without,
      });
      if (troubles.flat().length > 0) throw new Error(troubles.flat().join("\n"));
    } finally {
      for (const context of opened) await context.close();
      await site.close();
    }
  });
}

/** One experiment, of two arms. */
const ARMS: ArmSettings = {
  control_share: 0.1,
  experiments: parseExperiments({
    source: "test",
    text: JSON.stringify({
      experiments: [{
        id: "words",
        arms: [{ id: "today" }, { id: "words", sources: ["wording"] }],
        metric: "click",
        baseline: 0.05,
        minimum_effect: 0.01,
      }],
    }),
  }),
};

async function serveSite(
  { config }: Flow,
  { keys, metrics, port }: { keys: readonly ApiKey[]; metrics: ServingMetrics; port: number },
) {
  const stores = await openServing(config);
  const closing = new AbortController();
  const app = await createApp({
    stores: stores.value,
    clock: systemClock,
    version: "1.2.3",
    keys,
    metrics,
    log: null,
    dashboard: {
      dags: builtInDags(config),
      runs: stores.value.runs,
      closing: closing.signal,
      arms: ARMS,
    },
  });
  const server = Deno.serve({ hostname: "127.0.0.1", port, onListen: () => {} }, app.fetch);
  const close = async () => {
    closing.abort();
    await server.shutdown();
    await stores.close();
  };
  return { origin: `http://127.0.0.1:${server.addr.port}`, close };
}

async function drainQueue({ config, runs, services }: Flow): Promise<void> {
  const options = { ...engine({ config, runs, services }), random: () => 0 };
  await executeQueued(options, new AbortController().signal);
}

/** What axe-core finds serious in a page, a line each. Evaluated by the browser's own protocol, so that the policy stays. */
export async function serious(page: Page): Promise<string[]> {
  if (!await page.evaluate("'axe' in globalThis")) await page.evaluate(axe.source);
  const { violations } = await page.evaluate<axe.AxeResults>("axe.run({ resultTypes: ['violations'] })");
  return violations.filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).slice(0, 3).join(" | ")}`);
}

/** Loads a page once and looks at it in both schemes. */
export async function look(page: Page, url: string): Promise<void> {
  await page.goto(url);
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    assert.deepEqual(await serious(page), [], `${url}, ${colorScheme}`);
  }
  const wide = await page.evaluate("document.documentElement.scrollWidth > innerWidth");
  assert.equal(wide, false, `${url} is wider than the window`);
}
