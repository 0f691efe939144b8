import { sha256 } from "../core/hash.ts";
import { paged } from "../core/batches.ts";
import type { Message } from "../core/types.ts";
import type { ClassificationStore } from "../stores/documents/port.ts";

/** The longest text of a sample; longer ones say more than one thing. */
const MAX_CHARACTERS = 500;

interface SampledMessage {
  readonly hash: string;
  readonly message_id: string;
  readonly text: string;
}

/**
 * At most `size` messages of users that have no intent, drawn by a hash of their ids: evenly from all of them, and the
 * same ones each time. Each text once.
 */
export async function sampleUnlabelled(
  options: { documents: Pick<ClassificationStore, "unlabelled">; size: number; signal?: AbortSignal },
): Promise<{ message_id: string; text: string }[]> {
  let sampled: SampledMessage[] = [];
  const trim = () => sampled = sampled.sort((a, b) => a.hash < b.hash ? -1 : 1).slice(0, options.size);
  const page = (after: string | null, limit: number) =>
    options.documents.unlabelled({ after, limit, signal: options.signal });
  const texts = new Set<string>();
  for await (const { message_id, message } of paged<Message>(1_000, (row) => row.message_id, page)) {
    const text = message.trim();
    if (text.length > MAX_CHARACTERS || texts.has(text)) continue;
    sampled.push({ hash: sha256(message_id), message_id, text });
    texts.add(text);
    if (sampled.length < 2 * options.size) continue;
    trim();
    texts.clear();
    for (const row of sampled) texts.add(row.text);
  }
  return trim().map(({ message_id, text }) => ({ message_id, text }));
}
