import { z } from "../deps.ts";
import type { Kind } from "../lib/core/types.ts";
import { defineDag, type RemoteValues } from "../lib/dag/define.ts";
import { inboxFiles } from "../lib/sources/inbox.ts";
import type { Services } from "./services.ts";
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
export interface NightlySettings {
  readonly schedule: { readonly cron: string; readonly timezone: string } | null;
  readonly sources: Readonly<Record<Kind, readonly string[]>>;
  /** Folder of files that a run may be given over HTTP; null for none. */
  readonly inbox: string | null;
}

const paths = (what: string, configured: readonly string[]) =>
  z.array(z.string()).default([...configured]).describe(`files or folders of ${what}`);
const store = { count: 3, base_ms: 500, cap_ms: 30_000 };

/** Conversations in, answers out: reads the sources, writes every store, and publishes a new data version. */
export function nightly({ schedule, sources, inbox }: NightlySettings) {
  const remote = (kind: Kind): RemoteValues => ({
    values: async () => [...new Set([...sources[kind], ...inbox === null ? [] : await inboxFiles(inbox)])],
    settings: `PARLEY_${kind.toUpperCase()}, and the files in the folder PARLEY_INBOX`,
  });
  return defineDag<Services>({
    id: "nightly",
    doc:
      "Reads new conversations, campaigns and engagement, and publishes what recommendations are made from.",
    // Dags that publish data versions: one of them at a time.
    group: "versions",
    ...schedule === null ? {} : { schedule: { ...schedule, catch_up: "latest" } },
    params: z.object({
      messages: paths("messages", sources.messages),
      campaigns: paths("campaigns", sources.campaigns),
      events: paths("events", sources.events),
      all: z.boolean().default(false).describe("read unchanged sources again, and derive all users again"),
    }),
    remote: {
      messages: remote("messages"),
      campaigns: remote("campaigns"),
      events: remote("events"),
      all: "any",
    },
    tasks: [
      // What it has spooled is kept, and a source may never end: a shutdown need not wait.
      { id: "ingest", doc: "spools the sources", run: ingest, retries: { count: 1 }, grace_ms: 0 },
      { id: "validate", doc: "checks every row", needs: ["ingest"], run: validate },
      { id: "documents", doc: "raw messages", needs: ["validate"], run: documents, retries: store },
      { id: "analytics", doc: "campaigns, events", needs: ["validate"], run: analytics, retries: store },
      { id: "embed", doc: "text to vectors", needs: ["validate"], run: embed, retries: store },
      { id: "vectors", doc: "message vectors", needs: ["embed"], run: vectors, retries: store },
      {
        id: "classify",
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
      { id: "check", doc: "gates the version", needs: ["derive"], run: check, retries: store },
      { id: "publish", doc: "flips the version", needs: ["check"], run: publish, retries: store },
    ],
  });
}
