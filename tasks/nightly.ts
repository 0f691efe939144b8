import { z } from "../deps.ts";
import { defineDag } from "../lib/dag/define.ts";
import type { Services } from "./services.ts";
import { remoteSources, sourceParams, type SourceSettings } from "./source_params.ts";
import { step, type StepContext } from "./step.ts";
import { analytics } from "./steps/analytics.ts";
import { check } from "./steps/check.ts";
import { classify } from "./steps/classify.ts";
import { conversations } from "./steps/conversations.ts";
import { derive, type DeriveOutput } from "./steps/derive.ts";
import { documents } from "./steps/documents.ts";
import { embed, type EmbedOutput } from "./steps/embed.ts";
import { graph, type GraphOutput } from "./steps/graph.ts";
import { ingest, type IngestOutput } from "./steps/ingest.ts";
import { learn, type LearnOutput } from "./steps/learn/learn.ts";
import { publish } from "./steps/publish.ts";
import { validate, type ValidateOutput } from "./steps/validate.ts";
import { openStore } from "./steps/vector_store.ts";
import { vectors } from "./steps/vectors.ts";

/** What the nightly run is set to: when, and which sources it reads where a run is not given its own. */
export interface NightlySettings extends SourceSettings {
  readonly schedule: { readonly cron: string; readonly timezone: string } | null;
  /** The time of day by which a scheduled run is expected to have ended, in the schedule's zone; null for none. */
  readonly deadline: string | null;
}

const sources = (context: StepContext) => context.output<IngestOutput>("ingest").sources;
const rows = (context: StepContext) => context.output<ValidateOutput>("validate");
const parts = (context: StepContext) => context.output<EmbedOutput>("embed");
const store = (context: StepContext) => openStore(context, parts(context).model);
const users = (context: StepContext) => context.output<GraphOutput>("graph").touched;
const version = (context: StepContext) => context.output<DeriveOutput>("derive").version;
/** None if the task failed, which its run shows. */
const learnFindings = (context: StepContext) => context.output<LearnOutput | null>("learn")?.findings ?? [];

/** Conversations in, answers out: reads the sources, writes every store, and publishes a new data version. */
export function nightly(settings: NightlySettings) {
  const { schedule, deadline } = settings;
  return defineDag<Services>({
    id: "nightly",
    doc:
      "Reads new conversations, campaigns and engagement, and publishes what recommendations are made from.",
    // Dags that publish data versions: one of them at a time.
    group: "versions",
    ...schedule === null ? {} : { schedule: { ...schedule, catch_up: "latest" } },
    ...schedule === null || deadline === null ? {} : { deadline_alert: { by: deadline } },
    params: z.object({
      ...sourceParams(settings),
      all: z.boolean().default(false).describe("read unchanged sources again, and derive all users again"),
    }),
    remote: { ...remoteSources(settings), all: "any" },
    tasks: [
      // What it has spooled is kept, and a source may never end: a shutdown need not wait.
      {
        id: "ingest",
        role: "ingest",
        doc: "spools the sources",
        run: (context) => ingest(context, { check: "check" }),
        retries: { count: 1 },
        grace_ms: 0,
      },
      {
        id: "validate",
        doc: "checks every row",
        needs: ["ingest"],
        run: (context) => validate(context, sources(context)),
      },
      { id: "documents", doc: "raw messages", needs: ["validate"], ...step(documents, rows) },
      { id: "analytics", doc: "campaigns, events", needs: ["validate"], ...step(analytics, rows, sources) },
      { id: "embed", doc: "text to vectors", needs: ["validate"], ...step(embed, rows) },
      { id: "vectors", doc: "message vectors", needs: ["embed"], ...step(vectors, store, parts) },
      {
        id: "classify",
        role: "classify",
        doc: "intents of messages",
        needs: ["documents", "vectors"],
        ...step(classify, store, sources),
      },
      { id: "graph", doc: "targets of campaigns", needs: ["analytics", "classify"], ...step(graph, rows) },
      {
        id: "conversations",
        doc: "edges, conversations, profiles",
        needs: ["graph"],
        ...step(conversations, store, users),
      },
      {
        id: "derive",
        doc: "item weights, popularity",
        needs: ["conversations"],
        ...step(derive, store, () => ({ readsSources: true })),
      },
      {
        id: "learn",
        doc: "weights of sources",
        needs: ["derive"],
        // The version has the weights of the one before: data are published without new ones too.
        allow_failure: true,
        ...step(learn, store, version),
      },
      {
        id: "check",
        role: "check",
        doc: "gates the version",
        needs: ["derive", "learn"],
        trigger: "all_done_min_one_success",
        ...step(check, store, learnFindings),
      },
      {
        id: "publish",
        doc: "flips the version",
        needs: ["check"],
        ...step(publish, store, version, sources),
      },
    ],
  });
}
