import { batches, paged } from "../core/batches.ts";
import type { Abortable } from "../core/types.ts";
import { PERSONAL } from "../stores/vectors/port.ts";
import { modelKey } from "../core/types.ts";
import type { AllStores } from "./stores.ts";
import { UserText } from "./user_text.ts";

/** Something that is stored about a user: which store has it, what it is, and the row. */
export interface UserRecord {
  readonly store: "documents" | "analytics" | "vectors" | "graph" | "artifacts" | "exports" | "runs";
  readonly kind: string;
  readonly row: unknown;
}

/** Rows that are read at a time. */
const PAGE = 500;

/**
 * Everything that is stored about one user, store by store and page by page. Vectors are given by what they were made from, not
 * by their numbers; refused rows and lines of artifacts are those that name the user. Artifacts, refused rows and records of
 * runs are read whole, which takes time by how much of them is kept.
 */
export async function* readUser(
  { stores, user_id, signal }: { stores: AllStores; user_id: string } & Abortable,
): AsyncGenerator<UserRecord> {
  yield* readDocuments(stores, user_id, { signal });
  yield* readAnalytics(stores, user_id, { signal });
  yield* readVectors(stores, user_id, { signal });
  for (const type of ["expressed", "engaged", "led_to"] as const) {
    for (const row of await stores.graph.edgesOf({ type, user_ids: [user_id], signal })) {
      yield { store: "graph", kind: type, row };
    }
  }
  yield* readCopies(stores, user_id, { signal });
}

async function* readDocuments(
  { documents }: AllStores,
  user_id: string,
  { signal }: Abortable,
): AsyncGenerator<UserRecord> {
  const user_ids = [user_id];
  const page = (after: string | null, limit: number) => documents.page({ after, limit, user_ids, signal });
  for await (const messages of batches(paged(PAGE, ({ message_id }) => message_id, page), PAGE)) {
    for (const row of messages) yield { store: "documents", kind: "message", row };
    const message_ids = messages.map(({ message_id }) => message_id);
    for (const row of await documents.classifications({ message_ids, signal })) {
      yield { store: "documents", kind: "classification", row };
    }
  }
  const text = new UserText(user_ids);
  for await (const { rows } of documents.quarantinePages({ after: null, signal })) {
    for (const row of rows) if (text.isIn(row.raw)) yield { store: "documents", kind: "refused_row", row };
  }
}

async function* readAnalytics(
  { analytics }: AllStores,
  user_id: string,
  { signal }: Abortable,
): AsyncGenerator<UserRecord> {
  const [optedOut] = await analytics.optedOut({ user_ids: [user_id], signal });
  yield { store: "analytics", kind: "preferences", row: { personalisation: optedOut === undefined } };
  const events = (after: string | null, limit: number) =>
    analytics.eventPage({ user_id, after, limit, signal });
  for await (const row of paged(PAGE, ({ event_id }) => event_id, events)) {
    yield { store: "analytics", kind: "event", row };
  }
  const profile = await analytics.profileWords({ user_id, signal });
  if (profile !== null) yield { store: "analytics", kind: "profile_words", row: profile };
  const words = (after: string | null, limit: number) =>
    analytics.conversationWords({ user_id, after, limit, signal });
  for await (const row of paged(PAGE, ({ conversation_id }) => conversation_id, words)) {
    yield { store: "analytics", kind: "conversation_words", row };
  }
}

async function* readVectors(
  { vectors }: AllStores,
  user_id: string,
  { signal }: Abortable,
): AsyncGenerator<UserRecord> {
  for (const model of await vectors.models({ signal })) {
    for (const collection of PERSONAL) {
      const page = async (after: string | null, limit: number) =>
        (await vectors.forModel({ model, signal })).page({ collection, user_id, after, limit, signal });
      for await (const { vector, ...row } of paged(PAGE, ({ id }) => id, page)) {
        const made = { model: modelKey(model), dimension: vector.length };
        yield { store: "vectors", kind: collection, row: { ...row, ...made } };
      }
    }
  }
}

async function* readCopies(
  { artifacts, exports, runs }: AllStores,
  user_id: string,
  { signal }: Abortable,
): AsyncGenerator<UserRecord> {
  const text = new UserText([user_id]);
  for await (const row of artifacts.findLines({ matches: (line) => text.isIn(line), signal })) {
    yield { store: "artifacts", kind: "line", row };
  }
  for await (const row of exports.linesOf({ user_id })) yield { store: "exports", kind: "line", row };
  for await (const found of runs.findTexts({ contain: text.spellings, signal })) {
    if (text.redact(found) !== found.text) yield { store: "runs", kind: found.column, row: found };
  }
}
