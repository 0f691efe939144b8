import { tryParseJson } from "../../../lib/core/json.ts";
import { type Kind, KINDS, type Rows } from "../../../lib/core/types.ts";
import { withConversations } from "../../../lib/evaluate/with_conversations.ts";
import type { Dataset } from "../../../lib/evaluate/splits.ts";
import { parseRow } from "../../../lib/schema/row.ts";
import { type TimeWindow, timeWindow } from "../../../lib/schema/time.ts";
import { expandSources } from "../../../lib/sources/expand_sources.ts";
import { readRows } from "../../../lib/sources/source_rows.ts";
import type { Services } from "../../services.ts";
import type { ReadSource } from "../ingest.ts";

/** All rows of some sources that are right, and what each source held. */
interface ReadDataset {
  readonly data: Dataset;
  readonly read: readonly ReadSource[];
}

interface ReadDatasetOptions {
  readonly signal: AbortSignal;
  readonly sources: Readonly<Record<Kind, readonly string[]>>;
  readonly settings: Pick<
    Services["settings"],
    "conversation_gap_minutes" | "inbox" | "max_source_bytes" | "earliest"
  >;
  /** Epoch milliseconds. */
  readonly now: number;
  readonly onNote: (line: string) => void;
}

/** Reads sources whole, each row once and with its conversation. Whether a campaign may be shown today plays no part. Throws if a source cannot be read. */
export async function readDataset(options: ReadDatasetOptions): Promise<ReadDataset> {
  const read: ReadSource[] = [];
  const { now, settings: { earliest, conversation_gap_minutes } } = options;
  const window = timeWindow({ now, earliest });
  const rows: { [K in Kind]: Rows[K][] } = { messages: [], campaigns: [], events: [] };
  for (const kind of KINDS) read.push(...await readKind(kind, rows[kind], window, options));
  const always = { starts_at: null, ends_at: null, status: "active" } as const;
  const data = {
    messages: unique(rows.messages, ({ message_id }) => message_id),
    campaigns: unique(rows.campaigns, ({ campaign_id }) => campaign_id).map((row) => ({ ...row, ...always })),
    events: unique(rows.events, ({ event_id }) => event_id),
  };
  return { data: withConversations(data, { gap_ms: conversation_gap_minutes * 60_000 }), read };
}

async function readKind<K extends Kind>(
  kind: K,
  into: Rows[K][],
  window: TimeWindow,
  { sources, settings: { inbox, max_source_bytes: maxBytes }, onNote, signal }: ReadDatasetOptions,
): Promise<ReadSource[]> {
  const { sources: found, failed } = await expandSources({ paths: sources[kind], inbox, signal });
  for (const error of failed) throw error;
  const read: ReadSource[] = [];
  let refused = 0;
  for (const source of found) {
    const texts = readRows(source, { signal, maxBytes });
    for await (const text of texts) {
      if (text === "") continue;
      const parsed = parseRow({ kind, value: tryParseJson(text), window });
      if (parsed.ok) into.push(parsed.row);
      else refused++;
    }
    read.push({ uri: source.uri, sha256: texts.sha256(), bytes: texts.bytes, rows: texts.rows });
  }
  if (refused > 0) onNote(`${refused} rows of ${kind} are left out: \`deno task pipeline\` shows why`);
  return read;
}

function unique<Row>(rows: readonly Row[], idOf: (row: Row) => string): Row[] {
  return [...new Map(rows.map((row) => [idOf(row), row])).values()];
}
