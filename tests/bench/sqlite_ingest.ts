/**
 * How fast `SqliteDocuments.upsert` and `SqliteAnalytics.upsertEvents` take rows in a bulk load, against a bare `node:sqlite`
 * insert of the same rows: one prepared statement, one transaction, one table with nothing but its primary key. Only what the store
 * does counts: its time, its CPU time, and bytes written (Linux).
 *
 *     deno run --allow-read --allow-write --allow-env tests/bench/sqlite_ingest.ts [rows ...]
 */
import { createHash, DatabaseSync } from "../../deps.ts";
import type { EngagementEvent, Message } from "../../lib/core/types.ts";
import { SqliteAnalytics } from "../../lib/stores/analytics/sqlite/sqlite_analytics.ts";
import type { BulkWriter } from "../../lib/stores/bulk/port.ts";
import { SqliteDocuments } from "../../lib/stores/documents/sqlite/sqlite_documents.ts";
import { event, message, minute, pick, random } from "../fixtures/rows.ts";
import { cpuSeconds, writtenBytes } from "./lib/process_costs.ts";

const BATCH = 500;
const CAMPAIGNS = 10_000;
const TYPES = ["impression", "impression", "click", "conversion", "dismissal"] as const;

type Row = Message | EngagementEvent;
type Make = (n: number, next: () => number) => Row;

function* batchesOf(rows: number, make: Make): Generator<Row[]> {
  const next = random(7);
  for (let start = 0; start < rows; start += BATCH) {
    yield Array.from({ length: Math.min(BATCH, rows - start) }, (_, i) => make(start + i, next));
  }
}

/** An id as it is derived for a row that comes without. */
function derivedId(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** Of a conversation of ten turns. */
const messageAt: Make = (n, next) => {
  const talk = Math.floor(n / 10);
  return message({
    message_id: derivedId(`message ${n}`),
    user_id: `user-${talk % 5_000}`,
    message: "words as they are said ".repeat(1 + Math.floor(next() * 8)),
    timestamp: minute(n),
    conversation_id: `talk-${talk}`,
    metadata: { source: "bench", turn: n % 10 },
  });
};

/** In the order of time, as a log has them: users and campaigns are mixed, and few campaigns have most events. */
const eventAt: Make = (n, next) =>
  event({
    event_id: derivedId(`event ${n}`),
    user_id: `user-${Math.floor(next() * 100_000)}`,
    campaign_id: `campaign-${Math.floor(CAMPAIGNS ** next())}`,
    type: pick(next, TYPES),
    timestamp: minute(n % 400_000),
    conversation_id: null,
  });

/** Writes one batch; `end` does the remaining work after all batches. */
interface Writer {
  load(batches: () => Promise<void>): Promise<void>;
  write(batch: Row[]): Promise<void> | void;
  end(): Promise<void> | void;
}

function bare(path: string, columns: readonly string[]): Writer {
  const db = new DatabaseSync(path);
  db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL");
  db.exec(
    `CREATE TABLE rows (${columns.map((name, at) => `${name} TEXT${at === 0 ? " PRIMARY KEY" : ""}`)})`,
  );
  const insert = db.prepare(`INSERT INTO rows VALUES (${columns.map(() => "?")})`);
  return {
    async load(batches) {
      db.exec("BEGIN");
      await batches();
      db.exec("COMMIT");
    },
    write(batch) {
      for (const { metadata, ...row } of batch) insert.run(...Object.values(row), JSON.stringify(metadata));
    },
    end: () => db.close(),
  };
}

function ours(
  store: BulkWriter & { close(): Promise<void> },
  write: (rows: Row[]) => Promise<unknown>,
): Writer {
  return {
    load: (batches) => store.inBulk(batches),
    write: async (batch) => void await write(batch),
    end: () => store.close(),
  };
}

function documents(path: string): Writer {
  const store = new SqliteDocuments({ path });
  return ours(store, (rows) => store.upsert({ messages: rows as Message[] }));
}

function analytics(path: string): Writer {
  const store = new SqliteAnalytics({ path });
  return ours(store, (rows) => store.upsertEvents({ events: rows as EngagementEvent[] }));
}

interface Taken {
  readonly seconds: number;
  readonly cpu_s: number;
  readonly written: number;
  /** The largest resident set seen. */
  readonly rss_mb: number;
}

async function measure(rows: number, make: Make, writer: Writer): Promise<Taken> {
  let rss = 0;
  let made = { ms: 0, cpu_s: 0 };
  const start = { ms: performance.now(), cpu_s: cpuSeconds(), written: writtenBytes() };
  await writer.load(async () => {
    const batches = batchesOf(rows, make);
    while (true) {
      const before = { ms: performance.now(), cpu_s: cpuSeconds() };
      const { value, done } = batches.next();
      made = { ms: made.ms + performance.now() - before.ms, cpu_s: made.cpu_s + cpuSeconds() - before.cpu_s };
      if (done) return;
      await writer.write(value);
      rss = Math.max(rss, Deno.memoryUsage().rss);
    }
  });
  await writer.end();
  return {
    seconds: (performance.now() - start.ms - made.ms) / 1_000,
    cpu_s: cpuSeconds() - start.cpu_s - made.cpu_s,
    written: writtenBytes() - start.written,
    rss_mb: Math.round(rss / 1_048_576),
  };
}

const thousands = (rows: number, seconds: number) =>
  `${Math.round(rows / seconds).toLocaleString("en")} rows/s`;

function print(title: string, rows: number, path: string, taken: Taken): void {
  const kept = Deno.statSync(path).size;
  console.log(
    `  ${title}: ${thousands(rows, taken.seconds)}, ${thousands(rows, taken.cpu_s)} of CPU, written ${
      (taken.written / rows / 1e3).toFixed(2)
    } KB a row, ${(taken.written / kept).toFixed(1)} x kept, peak rss ${taken.rss_mb} MB`,
  );
}

async function report(rows: number, dir: string): Promise<void> {
  const kinds = [["messages", messageAt, documents], ["events", eventAt, analytics]] as const;
  for (const [kind, make, open] of kinds) {
    console.log(`${rows.toLocaleString("en")} ${kind}`);
    const path = `${dir}/${kind}.db`;
    const first = await measure(rows, make, open(path));
    print("upsert", rows, path, first);
    print("again", rows, path, await measure(rows, make, open(path)));
    const { metadata: _metadata, ...columns } = make(0, random(7));
    const base = await measure(
      rows,
      make,
      bare(`${dir}/bare-${kind}.db`, [...Object.keys(columns), "metadata"]),
    );
    print("bare", rows, `${dir}/bare-${kind}.db`, base);
    console.log(`  upsert has ${(base.cpu_s / first.cpu_s).toFixed(2)} x the rows per CPU second of bare`);
  }
}

for (const rows of Deno.args.length > 0 ? Deno.args.map(Number) : [25_000, 250_000]) {
  const dir = await Deno.makeTempDir();
  await report(rows, dir);
  await Deno.remove(dir, { recursive: true });
}
