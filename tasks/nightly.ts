import { z } from "../deps.ts";
import { defineDag } from "../lib/dag/define.ts";
import type { Services } from "./services.ts";
import { remoteSources, sourceParams, type SourceSettings } from "./source_params.ts";
import { analytics } from "./steps/analytics.ts";
import { check } from "./steps/check.ts";
import { classify } from "./steps/classify.ts";
import { conversations } from "./steps/conversations.ts";
import { derive } from "./steps/derive.ts";
import { documents } from "./steps/documents.ts";
import { embed } from "./steps/embed.ts";
import { graph } from "./steps/graph.ts";
import { ingest } from "./steps/ingest.ts";
import { publish } from "./steps/publish.ts";
import { validate } from "./steps/validate.ts";
import { vectors } from "./steps/vectors.ts";

/** What the nightly run is set to: when, and which sources it reads where a run is not given its own. */
export interface NightlySettings extends SourceSettings {
  readonly schedule: { readonly cron: string; readonly timezone: string } | null;
}

const store = { count: 3, base_ms: 500, cap_ms: 30_000 };

/** Conversations in, answers out: reads the sources, writes every store, and publishes a new data version. */
export function nightly(settings: NightlySettings) {
  const { schedule } = settings;
  return defineDag<Services>({
    id: "nightly",
    doc:
      "Reads new conversations, campaigns and engagement, and publishes what recommendations are made from.",
    // Dags that publish data versions: one of them at a time.
    group: "versions",
    ...schedule === null ? {} : { schedule: { ...schedule, catch_up: "latest" } },
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
        run: ingest,
        retries: { count: 1 },
        grace_ms: 0,
      },
      { id: "validate", doc: "checks every row", needs: ["ingest"], run: validate },
      { id: "documents", doc: "raw messages", needs: ["validate"], run: documents, retries: store },
      { id: "analytics", doc: "campaigns, events", needs: ["validate"], run: analytics, retries: store },
      { id: "embed", doc: "text to vectors", needs: ["validate"], run: embed, retries: store },
      { id: "vectors", doc: "message vectors", needs: ["embed"], run: vectors, retries: store },
      {
        id: "classify",
        role: "classify",
        doc: "intents of messages",
        needs: ["documents", "vectors"],
        run: classify,
        retries: store,
      },
      {
        id: "graph",
        doc: "edges, by recount",
        needs: ["analytics", "classify"],
        run: graph,
        retries: store,
      },
      {
        id: "conversations",
        doc: "conversations, profiles",
        needs: ["graph"],
        run: conversations,
        retries: store,
      },
      { id: "derive", doc: "weights, popularity", needs: ["conversations"], run: derive, retries: store },
      { id: "check", role: "check", doc: "gates the version", needs: ["derive"], run: check, retries: store },
      { id: "publish", doc: "flips the version", needs: ["check"], run: publish, retries: store },
    ],
  });
}
