import type { Config } from "../lib/config.ts";
import { systemClock } from "../lib/core/clock.ts";
import { ParleyError } from "../lib/core/errors.ts";
import type { Published } from "../lib/core/types.ts";
import { openLog } from "../lib/telemetry/log.ts";
import { warmUp } from "../lib/recommend/warm_up.ts";
import { startTracing } from "../lib/telemetry/spans.ts";
import { openEmbedder } from "../lib/embed/open.ts";
import { createApp } from "../routes/app.ts";
import { allDags } from "./engine.ts";
import { shutdownSignal } from "./exit.ts";
import { listenHttp } from "./listener.ts";
import { requestLog } from "./logs.ts";
import { embedderOptions } from "./models.ts";
import {
  lazy,
  type Opened,
  openServing,
  refusePublishedTest,
  refuseTestEmbedder,
  reportMissing,
  type ServingStores,
} from "./services.ts";
import { surviveUncaught } from "./uncaught.ts";
import { VERSION } from "./version.ts";

/** A running API. `url` is where it listens. */
export interface Serving {
  readonly url: string;
}

/** Opens the stores and listens. Closing lets requests under way finish. */
export async function listen(config: Config): Promise<Opened<Serving>> {
  await startTracing();
  const stores = await openServing(config);
  const closing = new AbortController();
  const dags = allDags(config);
  // One session: to answer recommendations comes first, and each session takes a core and 250 MB.
  const embedder = lazy(() => openEmbedder({ ...embedderOptions(config), sessions: 1 }));
  try {
    const published = await inTime(publishedIn(stores.value));
    if (published !== null) refusePublishedTest(config, published);
    const log = await openLog(config.log);
    const app = await createApp({
      stores: stores.value,
      dags: [...dags.values()],
      embedder: embedder.open,
      clock: systemClock,
      version: VERSION,
      keys: config.keys,
      answer_ms: config.answer_ms,
      lineage: config.lineage !== null,
      dashboard: {
        dags,
        runs: stores.value.runs,
        closing: closing.signal,
      },
      log: requestLog(log("http")),
    });
    await inTime(readied(stores.value));
    await inTime(reportMissing(stores.value));
    const listener = listenHttp({
      hostname: config.host,
      port: config.port,
      handler: app.fetch,
      log: log("listener"),
    });
    const { hostname, port } = listener;
    const close = async () => {
      closing.abort();
      await listener.close();
      await embedder.close();
      await stores.close();
    };
    return { value: { url: `http://${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}` }, close };
  } catch (error) {
    await stores.close();
    if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    throw new ParleyError(
      "unavailable",
      `port ${config.port} is in use: stop what uses it, or set PARLEY_PORT`,
    );
  }
}

/** How long listening may wait for stores that are slow to connect, each time. */
const WARM_UP_MS = 5_000;

/** What comes of the work soon, else null: the work goes on. */
async function inTime<T>(work: Promise<T>): Promise<T | null> {
  let timer: ReturnType<typeof setTimeout>;
  const patience = new Promise<null>((resolve) => timer = setTimeout(resolve, WARM_UP_MS, null));
  return await Promise.race([work, patience]).finally(() => clearTimeout(timer));
}

/** Null too where the store is down, which is for `/readyz` to tell. */
function publishedIn({ analytics }: ServingStores): Promise<Published | null> {
  return analytics.published().catch(() => null);
}

/**
 * Lets remote stores load their SDKs, which takes this thread for up to a second, and connect: whoever asked meanwhile
 * would wait for that and get an answer without them. A store that is down is for `/readyz` and for each answer to tell.
 */
function readied(stores: ServingStores): Promise<unknown> {
  const { documents, runs } = stores;
  return Promise.allSettled([warmUp({ stores }), documents.health(), runs.health()]);
}

/** The API alone, until SIGINT or SIGTERM. */
export async function serve(config: Config): Promise<number> {
  refuseTestEmbedder(config);
  await surviveUncaught(config);
  const shutdown = shutdownSignal();
  const api = await listen(config);
  console.log(`Parley answers at ${api.value.url}`);
  await aborted(shutdown.signal);
  await api.close();
  shutdown.dispose();
  return 0;
}

export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
