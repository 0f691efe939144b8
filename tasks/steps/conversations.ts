import { batches } from "../../lib/core/batches.ts";
import { counted } from "../../lib/core/text.ts";
import { type Artifact, type DirtyUser, modelKey } from "../../lib/core/types.ts";
import {
  addDerived,
  clearMarks,
  type DerivedCounts,
  type DeriveOptions,
  deriveUsers,
  NOTHING_DERIVED,
} from "../../lib/derive/derive_users.ts";
import type { VectorWriter } from "../../lib/derive/embed_texts.ts";
import { openClassifier } from "../../lib/intents/classifier_store.ts";
import { classifySome } from "../../lib/intents/classify_messages.ts";
import { readCampaignNames } from "../../lib/recommend/words.ts";
import type { VectorStore } from "../../lib/stores/vectors/port.ts";
import { FIELDS } from "../datasets.ts";
import type { Services } from "../services.ts";
import type { StepContext } from "../step.ts";
import { countsText, readArtifact } from "./artifact_rows.ts";
import type { DirtyUserId } from "./graph.ts";
import { refuseOtherModel, vectorSet } from "./vector_store.ts";

/** Users derived at a time. */
export const USERS = 50;
/** What is committed together, and so what a kill costs at the most: so many users, or what took so long. */
const USERS_PER_COMMIT = 2_000;
const COMMIT_MS = 20_000;

/**
 * Derives the edges, the conversations and the profile of every dirty user, in the vectors and in the graph, and clears the marks
 * of users that are done. An attempt continues after the users of the one before it.
 */
export async function conversations(
  context: StepContext,
  store: VectorStore,
  touched: Artifact,
): Promise<DerivedCounts> {
  const { services, signal } = context;
  const embedder = await services.embedder();
  refuseOtherModel(embedder.model, store.model);
  context.version("model", modelKey(store.model));
  let done = context.loadCheckpoint<DerivedCounts>() ?? NOTHING_DERIVED;
  if (done.users > 0) context.log(`continues after ${done.users} of ${touched.rows} users`);
  const left = skipRows(readArtifact<DirtyUserId>(services, touched, signal), done.users);
  if (done.users < touched.rows) {
    const options = await deriveOptions(context, { embedder, store });
    const commits = deriveInBulk(services, options, idsOf(left), (derived) => {
      context.progress({ done: done.users + derived, total: touched.rows });
    });
    for await (const { counts, marks } of commits) {
      done = addDerived(done, counts);
      // Only now, as all that was derived is committed.
      await clearMarks(services, marks, { signal });
      await context.saveCheckpoint(done);
    }
  }
  context.reads(services.artifact(touched));
  reportDerived(context, { store, embedder }, done);
  return done;
}

/**
 * Derives users a few at a time, commits those of 20 s or 2,000 users together, and yields what each commit has. `progress` gets how
 * many users of the next commit are done.
 */
export async function* deriveInBulk(
  { graph, analytics, clock }: Pick<Services, "graph" | "analytics" | "clock">,
  options: DeriveOptions,
  user_ids: AsyncIterable<string> | Iterable<string>,
  progress: (users: number) => void = () => {},
): AsyncGenerator<Awaited<ReturnType<typeof deriveUsers>>> {
  await using groups = batches(user_ids, USERS);
  for (let isOver = false; !isOver;) {
    const until = clock.now() + COMMIT_MS;
    let counts = NOTHING_DERIVED;
    const marks = { documents: [] as DirtyUser[], analytics: [] as DirtyUser[] };
    const derive = async () => {
      while (counts.users < USERS_PER_COMMIT && clock.now() < until) {
        const { value: some, done = false } = await groups.next();
        isOver = done;
        if (done) return;
        const derived = await deriveUsers(options, some);
        counts = addDerived(counts, derived.counts);
        marks.documents.push(...derived.marks.documents);
        marks.analytics.push(...derived.marks.analytics);
        progress(counts.users);
      }
    };
    await options.store.inBulk(() => graph.inBulk(() => analytics.inBulk(derive)));
    if (counts.users > 0) yield { counts, marks };
  }
}

async function* idsOf(users: AsyncIterable<DirtyUserId>): AsyncGenerator<string> {
  for await (const { user_id } of users) yield user_id;
}

/** How this run derives users. */
export async function deriveOptions(
  { services, log, signal }: Pick<StepContext, "services" | "log" | "signal">,
  writer: VectorWriter,
): Promise<DeriveOptions> {
  const gap_ms = services.settings.conversation_gap_minutes * 60_000;
  const names = await readCampaignNames(services.analytics, { signal });
  const classify = await openClassify(services, writer.store, signal);
  return { ...writer, stores: services, names, gap_ms, ...classify && { classify }, log, signal };
}

async function* skipRows<Row>(rows: AsyncIterable<Row>, count: number): AsyncGenerator<Row> {
  let at = 0;
  for await (const row of rows) if (at++ >= count) yield row;
}

/** Classifies messages that had no vector when the run classified; null without a classifier of this model. */
async function openClassify(
  { documents, vectors }: Pick<Services, "documents" | "vectors">,
  store: VectorStore,
  signal: AbortSignal,
): Promise<DeriveOptions["classify"] | null> {
  const classifier = await openClassifier({ documents, vectors, signal });
  if (classifier?.model !== modelKey(store.model)) return null;
  return (messages) => classifySome({ classifier, documents, vectors: store, signal }, messages);
}

export function reportDerived(
  context: StepContext,
  { store }: VectorWriter,
  done: DerivedCounts,
): void {
  const { services } = context;
  const { embedded, reused, long, written, removed } = done;
  context.log(
    `${counted(done.conversations, "conversation")} of ${
      counted(done.users, "user")
    } show what to recommend, ${counted(done.edges, "edge")} set; ` +
      `${embedded} texts embedded, ${reused} had a vector, ${long} were longer than the model reads`,
  );
  let out = 0;
  for (const collection of ["profiles", "conversations"] as const) {
    const counts = written[collection];
    const rows = counts.inserted + counts.changed;
    out += rows;
    context.log(countsText(collection, counts));
    const table = vectorSet(context, store, collection);
    context.writes({ ...table, rows, fields: FIELDS.vectors, quality: { ...counts } });
  }
  if (removed > 0) context.log(`${removed} vectors of what is no more were removed`);
  context.rows({ in: done.users, out });
  context.reads(services.dataset("documents", "messages"));
  context.reads(services.dataset("analytics", "events"));
  context.reads(vectorSet(context, store, "messages"));
  context.writes({
    ...services.dataset("analytics", "words"),
    rows: done.users + done.conversations,
    fields: FIELDS.words,
  });
  context.writes({
    ...services.dataset("graph", "conversations"),
    rows: done.edges,
    fields: FIELDS.conversations,
    quality: { conversations: done.conversations, embedded, reused, long, removed },
  });
}
