import { withTimeout } from "../lib/core/abort.ts";
import type { Config } from "../lib/config.ts";
import { systemClock } from "../lib/core/clock.ts";
import { causeOf, ParleyError } from "../lib/core/errors.ts";
import type { Abortable } from "../lib/core/types.ts";
import { IntentService } from "../lib/intents/intent_service.ts";
import { openLog } from "../lib/telemetry/log.ts";
import { OnlineWriter } from "../lib/online/online_writer.ts";
import { Arms } from "../lib/recommend/arms.ts";
import { Recommender } from "../lib/recommend/recommender.ts";
import { notifiersOf } from "../lib/notifications/sinks.ts";
import { MAX_WARM_UP_MS, WarmUp } from "../lib/recommend/warm_up.ts";
import { startTracing } from "../lib/telemetry/tracing.ts";
import { isEndpoint } from "../lib/embed/http/url.ts";
import { openEmbedder } from "../lib/embed/open.ts";
import type { Embedder } from "../lib/embed/port.ts";
import { ExportFolder } from "../lib/exports/export_folder.ts";
import { openArtifacts } from "../lib/stores/open.ts";
import { createApp } from "../routes/app.ts";
import { allDags } from "./engine.ts";
import { readExperiments } from "./setting_files.ts";
import { announceStop, shutdownSignal } from "./exit.ts";
import { listenHttp } from "./listener.ts";
import { requestLog } from "./logs.ts";
import { embedderOptions } from "./models.ts";
import { sendNotifications, watchAnomalies } from "./notifications.ts";
import {
  lazy,
  logMissing,
  type Opened,
  opened,
  openServing,
  readPublished,
  readSecret,
  refusePublishedTest,
  refuseTestEmbedder,
} from "./services.ts";
import { reapplyTombstones } from "./tombstones.ts";
import { surviveUncaught } from "./uncaught.ts";
import { VERSION } from "./version.ts";

/** A running API. `url` is its address. */
interface Serving {
  readonly url: string;
  /** Resolves when its first answer would be complete, or lack only stores that are down; soon in any case. */
  readonly ready: Promise<unknown>;
  /** Still answers for `PARLEY_DRAIN_MS`, while `/readyz` says `stopping` and each answer ends its connection. */
  drain(): Promise<void>;
}

/** The API apart from a listener. */
interface Api extends Pick<Serving, "ready"> {
  readonly fetch: Deno.ServeHandler<Deno.NetAddr>;
  /** From then on `/readyz` says `stopping`; the pages' streams end. */
  stop(): void;
}

/** Opens the stores and makes the handler of requests. Closing derives what was written. */
export async function openApi(config: Config): Promise<Opened<Api>> {
  const experiments = await readExperiments(config);
  await startTracing();
  const stores = await openServing(config);
  const closing = new AbortController();
  const { dags, faults: dag_faults } = await allDags(config);
  // One session: to answer recommendations comes first, and each session takes a core and 250 MB.
  const embedder = lazy(() => openEmbedder({ ...embedderOptions(config), sessions: 1 }));
  const artifacts = lazy(() => openArtifacts(config.artifacts));
  try {
    const erase = dags.get("erase")!;
    await reapplyTombstones(config, { stores: stores.value, runs: stores.value.runs, erase });
    const published = await orNullAfter(
      CONNECT_MS,
      () => readPublished({ analytics: stores.value.analytics }),
    );
    if (published !== null) refusePublishedTest(config, published);
    const log = openLog(config.log);
    for (const fault of dag_faults) {
      log("serve").error("the dags of {path} cannot run: {reason}", { ...fault });
    }
    const { answer_ms, repurchase_days, exploration } = config;
    const classifier = new IntentService({ stores: stores.value, embedder: embedder.open });
    const secret = () => readSecret(config, stores.value);
    const recommender = new Recommender({
      stores: stores.value,
      clock: systemClock,
      embedder: embedder.open,
      classifier,
      derived: (user_id) => writer.derived(user_id),
      secret,
      answer_ms,
      repurchase_days,
      arms: new Arms({ ...config, splits: experiments }),
      exploration,
      conversation_gap_minutes: config.conversation_gap_minutes,
      warn: (line) => log("serve").warning("{line}", { line }),
    });
    const writer: OnlineWriter = new OnlineWriter({
      stores: stores.value,
      clock: systemClock,
      embedder: embedder.open,
      names: (options) => recommender.names(options),
      onCampaignsChanged: (ids) => recommender.forgetPopular(ids),
      secret,
      earliest: config.earliest,
      conversation_gap_minutes: config.conversation_gap_minutes,
      warn: (line) => log("serve").warning("{line}", { line }),
    });
    const { signal } = closing;
    const warmUp = new WarmUp({ stores: stores.value, recommender, clock: systemClock, signal });
    const app = await createApp({
      stores: stores.value,
      dags: [...dags.values()],
      dag_faults,
      embedder: embedder.open,
      files: async () => ({
        artifacts: await artifacts.open(),
        exports: new ExportFolder(`${config.data}/exports`),
      }),
      erase,
      runnable: dags,
      clock: systemClock,
      version: VERSION,
      keys: config.keys,
      cors_origins: config.cors_origins,
      rate_limit: config.rate_limit,
      answer_ms,
      recommender,
      writer,
      warm_up: () => warmUp.status(),
      stopping: signal,
      lineage: config.lineage !== null,
      sinks: notifiersOf(config.notify).map(({ sink }) => sink),
      shared_stores: config.shared_stores,
      dashboard: {
        dags,
        dag_faults,
        runs: stores.value.runs,
        closing: signal,
        arms: { control_share: config.control_share, experiments },
      },
      log: requestLog(log("http")),
    });
    warmUp.run().catch((error) =>
      log("serve").error("the warm-up failed: {cause}", { cause: causeOf(error) })
    );
    const answering = orNullAfter(MAX_WARM_UP_MS, () => warmUp.ready);
    const ready = Promise.all([
      answering,
      orNullAfter(CONNECT_MS, () => logMissing(stores.value, config.shared_stores)),
    ]);
    answering.then(() => loadModel(config.embeddings, embedder.open, { signal })).catch((error) => {
      const cause = causeOf(error);
      if (!signal.aborted) log("serve").warning("posted conversations lack embeddings: {cause}", { cause });
    });
    const notifications = sendNotifications(config, stores.value.runs);
    const watching = watchAnomalies(config, {
      view: { stores: stores.value, dags: [...dags.values()], dag_faults, clock: systemClock },
      signal,
    });
    const stop = () => closing.abort();
    const close = async () => {
      stop();
      await watching;
      await notifications.close();
      await writer.close();
      await embedder.close();
      await artifacts.close();
      await stores.close();
    };
    return opened({ fetch: app.fetch, ready, stop }, close);
  } catch (error) {
    await stores.close();
    throw error;
  }
}

/** Opens the API and listens. Closing lets requests under way finish. */
export async function listen(config: Config): Promise<Opened<Serving>> {
  const api = await openApi(config);
  try {
    const listener = listenHttp({
      hostname: config.host,
      port: config.port,
      handler: api.value.fetch,
      log: openLog(config.log)("listener"),
    });
    const { hostname, port } = listener;
    const url = `http://${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
    const { ready, stop } = api.value;
    const drain = async () => {
      stop();
      await listener.drain(config.drain_ms);
    };
    return opened({ url, ready, drain }, async () => {
      stop();
      await listener.close();
      await api.close();
    });
  } catch (error) {
    await api.close();
    if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    throw new ParleyError(
      "unavailable",
      `port ${config.port} is in use: stop the process that uses it, or set PARLEY_PORT`,
    );
  }
}

/**
 * Loads a local model before the first posted conversation needs it, which would be answered without. It does so in a worker, after
 * answers to users are complete. A process that may not load native code has no local model, and an endpoint needs no loading.
 */
async function loadModel(url: URL, open: () => Promise<Embedder>, { signal }: Abortable): Promise<void> {
  if (isEndpoint(url.href) || (await Deno.permissions.query({ name: "ffi" })).state !== "granted") return;
  await (await open()).embed({ texts: ["hello"], signal });
}

/** How long to wait for a store to connect before listening, or before saying so, in milliseconds. */
const CONNECT_MS = 5_000;

/** The result of the work within the time, else null while it continues. `/readyz` reports failures. */
function orNullAfter<T>(ms: number, work: () => Promise<T>): Promise<T | null> {
  return withTimeout(ms, work).catch(() => null);
}

/** The API alone, until SIGINT or SIGTERM. */
export async function serve(config: Config): Promise<number> {
  refuseTestEmbedder(config);
  surviveUncaught(config);
  const shutdown = shutdownSignal();
  try {
    const api = await listen(config);
    await Promise.race([api.value.ready, aborted(shutdown.signal)]);
    if (!shutdown.signal.aborted) console.log(`Parley answers at ${api.value.url}`);
    announceStop(shutdown.signal, () => "requests in progress finish first");
    await aborted(shutdown.signal);
    await api.value.drain();
    await api.close();
    return 0;
  } finally {
    shutdown.dispose();
  }
}

export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
