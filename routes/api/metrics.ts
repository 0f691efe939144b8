import { z } from "../../deps.ts";
import type { OnlineWriter } from "../../lib/online/online_writer.ts";
import type { Recommender } from "../../lib/recommend/recommender.ts";
import type { RunRecordStore } from "../../lib/stores/runs/port.ts";
import { CONTENT_TYPE, expose } from "../../lib/telemetry/expose.ts";
import { processFamilies } from "../../lib/telemetry/process_metrics.ts";
import { RunMetrics } from "../../lib/telemetry/run_metrics.ts";
import {
  breakerFamily,
  derivationQueueFamily,
  type ServingMetrics,
} from "../../lib/telemetry/serving_metrics.ts";
import { type AnomalyCounts, StoreMetrics, type WatchedStores } from "../../lib/telemetry/store_metrics.ts";
import { apiEndpoint } from "../http/api_endpoint.ts";
import { ParleyError } from "../../lib/core/errors.ts";
import { storesRespond } from "./health.ts";
import { type PipelineView, readAnomalies } from "./pipeline.ts";

export interface MetricsOptions extends PipelineView {
  readonly stores: WatchedStores & PipelineView["stores"] & {
    readonly runs: Pick<RunRecordStore, "runs" | "snapshot">;
  };
  readonly version: string;
  readonly metrics: ServingMetrics;
  /** Whether lineage is sent to a sink. */
  readonly lineage: boolean;
  /** The sinks of notifications that are configured. */
  readonly sinks: readonly string[];
  readonly recommender: Pick<Recommender, "breakers">;
  readonly writer: Pick<OnlineWriter, "waiting">;
}

/**
 * `GET /metrics`. Scope `read`: a scraper sends its key as a bearer token. Labels name routes, stores, dags and tasks, never
 * a user.
 */
export const metrics = apiEndpoint({
  method: "GET",
  route: "/metrics",
  scope: "read",
  operation: "getMetrics",
  tag: "service",
  summary: "Metrics in Prometheus' text format",
  description:
    "Metrics of this process, stores, data and runs. A store that is down has `parley_store_up` 0 and no other " +
    "metric, and the scrape still succeeds within four seconds.",
  responses: { 200: { description: "The metrics.", schema: z.string(), type: CONTENT_TYPE } },
  handler: (options: MetricsOptions) => {
    const stores = new StoreMetrics(options.clock, options.stores, {
      health: storesRespond(options.stores),
      anomalies: () => openAnomalies(options),
      lineage: options.lineage,
      sinks: options.sinks,
    });
    const runs = new RunMetrics(options.clock, options.stores.runs);
    const started = options.clock.now();
    return async () => {
      const families = await Promise.all([stores.families(), runs.families()]);
      const own = [
        ...processFamilies({ version: options.version, started }),
        ...options.metrics.families(),
        breakerFamily(options.recommender.breakers()),
        derivationQueueFamily(options.writer.waiting()),
      ];
      const headers = { "content-type": CONTENT_TYPE, "cache-control": "no-store" };
      return new Response(await expose([...own, ...families.flat()]), { headers });
    };
  },
});

async function openAnomalies(view: PipelineView): Promise<AnomalyCounts> {
  const { value, error } = await readAnomalies(view);
  if (value === null) throw new ParleyError("unavailable", error);
  return value.health;
}
