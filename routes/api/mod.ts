import type { Clock } from "../../lib/core/clock.ts";
import type { ApiKey, ServingSpan } from "../../lib/core/types.ts";
import type { Embedder } from "../../lib/embed/port.ts";
import type { ArmSettings } from "../../lib/experiments/report.ts";
import type { IntentStores } from "../../lib/intents/intent_service.ts";
import type { OnlineStores, OnlineWriter } from "../../lib/online/online_writer.ts";
import type { Recommender, RecommenderStores } from "../../lib/recommend/recommender.ts";
import type { WarmUpStatus } from "../../lib/recommend/warm_up.ts";
import type { ServingMetrics } from "../../lib/telemetry/serving_metrics.ts";
import type { ApiEndpoint } from "../http/api_endpoint.ts";
import { campaign } from "./campaign.ts";
import { experiments } from "./experiments.ts";
import { findCampaigns } from "./find_campaigns.ts";
import { popularCampaigns } from "./popular_campaigns.ts";
import { similarCampaigns } from "./similar_campaigns.ts";
import { audit } from "./audit.ts";
import { healthz, readyz } from "./health.ts";
import { index } from "./index.ts";
import { classifyIntents } from "./intents.ts";
import { metrics, type MetricsOptions } from "./metrics.ts";
import { eraseUser, type EraseUserOptions } from "./erase_user.ts";
import { acknowledgeAnomaly, pipelineAnomalies, pipelineSummary, type PipelineView } from "./pipeline.ts";
import { openapi } from "./openapi.ts";
import { putPreferences } from "./preferences.ts";
import { readUserData, type ReadUserOptions } from "./read_user.ts";
import { nextRecommendations, postRecommendations, recommendations } from "./recommendations.ts";
import { cancelBackfillRuns, listBackfills, readBackfill, startBackfillRuns } from "./backfills.ts";
import {
  cancelRun,
  clearManyRuns,
  listRuns,
  markEndedRun,
  readRun,
  retryFailed,
  type RunOptions,
  startRun,
} from "./runs.ts";
import { writeEvents } from "./events.ts";
import { writeMessages } from "./messages.ts";
import { changeCampaign, deleteCampaign, writeCampaigns } from "./write_campaigns.ts";

/** All that endpoints can use. */
export interface Serving extends Pick<PipelineView, "dags" | "dag_faults">, Pick<RunOptions, "runnable"> {
  readonly stores:
    & RecommenderStores
    & IntentStores
    & OnlineStores
    & MetricsOptions["stores"]
    & ReadUserOptions["stores"]
    & EraseUserOptions["stores"];
  /** Opens the embedding model for the first `POST /intents/classify`. Without it the answer is 503. */
  readonly embedder?: () => Promise<Embedder>;
  readonly clock: Clock;
  /** Parley's version, for `/healthz`. */
  readonly version: string;
  /** Opens artifacts and exports for `GET /users/:user_id`. Without it the answer is 503. */
  readonly files?: ReadUserOptions["files"];
  /** The dag that completes erasures. Without it `DELETE /users/:user_id` queues no run. */
  readonly erase?: EraseUserOptions["erase"];
  /** If empty, everything is open. */
  readonly keys: readonly ApiKey[];
  /** How long a request to classify may take, in milliseconds. Default 30,000. */
  readonly classify_ms?: number;
  readonly recommender: Recommender;
  readonly writer: OnlineWriter;
  /** How far the start is. Default: complete. */
  readonly warm_up?: () => WarmUpStatus;
  /** Aborted by a shutdown request. */
  readonly stopping?: AbortSignal;
  /** Counts requests; its `window` has the answers of the last two hours. */
  readonly metrics: ServingMetrics;
  /** Those answers by minute. */
  readonly serving: () => readonly ServingSpan[];
  /** Which arms there are. Default: no control share and no experiments. */
  readonly arm_settings?: ArmSettings | undefined;
  /** Whether attempts are sent to a lineage sink, so that `/metrics` says how many wait. */
  readonly lineage: boolean;
  /** The sinks of notifications that are configured. */
  readonly sinks: readonly string[];
  /** The stores that are on one server, and shown as one. */
  readonly shared_stores: readonly string[];
  /** The API's document. */
  readonly document: () => Promise<object>;
}

/** Every endpoint of the API. The app mounts these, and the API's document describes them. */
export const ENDPOINTS: readonly ApiEndpoint<Serving>[] = [
  recommendations,
  postRecommendations,
  nextRecommendations,
  writeMessages,
  writeEvents,
  writeCampaigns,
  changeCampaign,
  deleteCampaign,
  readUserData,
  eraseUser,
  putPreferences,
  findCampaigns,
  campaign,
  similarCampaigns,
  popularCampaigns,
  experiments,
  classifyIntents,
  pipelineSummary,
  pipelineAnomalies,
  acknowledgeAnomaly,
  listRuns,
  startRun,
  readRun,
  cancelRun,
  retryFailed,
  markEndedRun,
  clearManyRuns,
  startBackfillRuns,
  listBackfills,
  readBackfill,
  cancelBackfillRuns,
  audit,
  index,
  openapi,
  healthz,
  readyz,
  metrics,
];
