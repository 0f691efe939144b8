import { batches, paged } from "../core/batches.ts";
import type { Abortable, DirtyUser } from "../core/types.ts";
import type { DocumentStore } from "../stores/documents/port.ts";
import type { Copied, Part } from "./part.ts";
import { tombstonePart } from "./tombstones.ts";

/** Rows that are read and written at once. */
const PAGE = 500;

/** Messages with their classifications, the classifier, refused rows, and which users are dirty. */
export function documentParts(from: DocumentStore, to: DocumentStore): Part[] {
  const copies = { messages, classifier, quarantine, dirty_users };
  const parts = Object.entries(copies).map(([name, copy]): Part => ({
    role: "documents",
    name,
    copy: ({ after, ...options }) => copy(from, to, { after, ...options }),
  }));
  const open = () => Promise.resolve({ from: from.tombstones, to: to.tombstones });
  return [...parts, tombstonePart({ role: "documents", name: "tombstones", open })];
}

type Options = { after: string | null } & Abortable;

async function* messages(
  from: DocumentStore,
  to: DocumentStore,
  { after, signal }: Options,
): AsyncGenerator<Copied> {
  const read = (after: string | null, limit: number) => from.page({ after, limit, signal });
  for await (const page of batches(paged(PAGE, (row) => row.message_id, read, after), PAGE)) {
    const message_ids = page.map(({ message_id }) => message_id);
    await to.upsert({ messages: page, signal });
    await to.classify({ rows: await from.classifications({ message_ids, signal }), signal });
    yield { rows: page.length, after: message_ids.at(-1)! };
  }
}

/** After the messages, of which it marks its examples. */
async function* classifier(
  from: DocumentStore,
  to: DocumentStore,
  { signal }: Options,
): AsyncGenerator<Copied> {
  const found = await from.classifier({ signal });
  if (found === null) return;
  const examples = await from.examples({ classifier: found.key, signal });
  await to.saveClassifier({ classifier: found, examples: examples.map((row) => row.message_id), signal });
  yield { rows: 1, after: null };
}

async function* quarantine(
  from: DocumentStore,
  to: DocumentStore,
  { after, signal }: Options,
): AsyncGenerator<Copied> {
  for await (const { rows, after: last } of from.quarantinePages({ after, signal })) {
    await to.quarantine({ rows, signal });
    yield { rows: rows.length, after: last };
  }
}

/** Copying messages has made their users dirty. At the source some may be dirty who have no messages any more. */
async function* dirty_users(
  from: DocumentStore,
  to: DocumentStore,
  { signal }: Options,
): AsyncGenerator<Copied> {
  for await (const users of dirtyUsers(to, { signal })) await to.clearDirty({ users, signal });
  for await (const users of dirtyUsers(from, { signal })) {
    await to.markDirty({ user_ids: users.map(({ user_id }) => user_id), signal });
    yield { rows: users.length, after: null };
  }
}

function dirtyUsers(store: DocumentStore, options: Abortable): AsyncGenerator<DirtyUser[]> {
  const read = (after: string | null, limit: number) => store.listDirtyUsers({ after, limit, ...options });
  return batches(paged(PAGE, ({ user_id }) => user_id, read), PAGE);
}
