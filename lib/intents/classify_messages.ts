import { paged } from "../core/batches.ts";
import type { Message } from "../core/types.ts";
import type { Classification, ClassificationStore } from "../stores/documents/port.ts";
import type { VectorStore } from "../stores/vectors/port.ts";
import { classify } from "./classifier.ts";
import type { Classifier } from "./classifier_store.ts";
import { yieldIfDue } from "../ml/matrix.ts";
import { sha256 } from "../core/hash.ts";

/** Messages that are read and written by one call, and the most that a killed attempt classifies again. */
const PAGE = 500;

export interface ClassifiedCounts {
  readonly classified: number;
  /** Of those, the ones that fit no intent. */
  readonly out_of_scope: number;
  /** How many had another intent before, or none. */
  readonly changed: number;
  /** Messages whose vector is not there, or is of an older text. */
  readonly waiting: number;
}

/**
 * Classifies all messages of users that have no given intent and that this classifier has not seen. What it has done
 * it need not do again: if interrupted, it continues where it stopped. `onPage` is called after each page.
 */
export async function classifyMessages(
  options: {
    classifier: Classifier;
    documents: Pick<ClassificationStore, "unclassified" | "classify">;
    vectors: Pick<VectorStore, "hashes" | "get">;
    signal?: AbortSignal | undefined;
    onPage?: (counts: ClassifiedCounts) => void;
  },
): Promise<ClassifiedCounts> {
  const { documents, signal } = options;
  const counts = { classified: 0, out_of_scope: 0, changed: 0, waiting: 0 };
  const pages = pagesOf((after, limit) =>
    documents.unclassified({ classifier: options.classifier.key, after, limit, signal })
  );
  for await (const page of pages) {
    const rows = await classifyPage(options, page);
    counts.changed += await documents.classify({ rows, signal });
    counts.classified += rows.length;
    counts.out_of_scope += rows.filter(({ intent }) => intent === null).length;
    counts.waiting += page.length - rows.length;
    options.onPage?.(counts);
  }
  return counts;
}

/** Full pages. Classified messages leave the listing, which paging by key allows. */
async function* pagesOf(
  read: (after: string | null, limit: number) => Promise<Message[]>,
): AsyncGenerator<Message[]> {
  let rows: Message[] = [];
  for await (const row of paged<Message>(PAGE, ({ message_id }) => message_id, read)) {
    rows.push(row);
    if (rows.length < PAGE) continue;
    yield rows;
    rows = [];
  }
  if (rows.length > 0) yield rows;
}

/**
 * Classifies those of these messages that {@link classifyMessages} would: of users, without a given intent, and not seen by this
 * classifier.
 */
export async function classifySome(
  options: ClassifyOptions & { documents: Pick<ClassificationStore, "classifications" | "classify"> },
  messages: readonly Message[],
): Promise<void> {
  const { classifier, documents, signal } = options;
  const open = messages.filter(({ role, intent }) => role === "user" && intent === null);
  const message_ids = open.map(({ message_id }) => message_id);
  const known = new Set(
    (await documents.classifications({ message_ids, signal }))
      .flatMap((row) => row.classifier === classifier.key ? [row.message_id] : []),
  );
  const rows = await classifyPage(options, open.filter(({ message_id }) => !known.has(message_id)));
  if (rows.length > 0) await documents.classify({ rows, signal });
}

interface ClassifyOptions {
  readonly classifier: Classifier;
  readonly vectors: Pick<VectorStore, "hashes" | "get">;
  readonly signal?: AbortSignal | undefined;
}

async function classifyPage(
  { classifier, vectors, signal }: ClassifyOptions,
  page: readonly Message[],
): Promise<Classification[]> {
  const query = {
    collection: "messages",
    ids: page.map(({ message_id }) => message_id),
    ...signal && { signal },
  } as const;
  const [hashes, rows] = [await vectors.hashes(query), await vectors.get(query)];
  const classifications: Classification[] = [];
  for (const { message_id, message } of page) {
    await yieldIfDue(signal);
    const vector = rows.get(message_id);
    if (vector === undefined || hashes.get(message_id) !== sha256(message)) continue;
    const { intent, score } = classify(classifier.fitted, vector, { top: 1 });
    classifications.push({ message_id, intent, score, classifier: classifier.key });
  }
  return classifications;
}
