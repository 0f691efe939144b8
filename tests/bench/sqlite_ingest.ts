/**
 * How fast `SqliteDocuments.upsert` takes rows, against a bare `node:sqlite` insert of the same rows: one prepared
 * statement, one transaction, one table with nothing but its primary key. Only the time within the store counts.
 *
 *     deno run --allow-read --allow-write --allow-env tests/bench/sqlite_ingest.ts [rows ...]
 */
import { createHash, DatabaseSync } from "../../deps.ts";
import type { Message } from "../../lib/core/types.ts";
import { SqliteDocuments } from "../../lib/stores/documents/sqlite/sqlite_documents.ts";
import { message, minute, random } from "../fixtures/rows.ts";

const BATCH = 1_000;

/** Conversations of ten turns, with ids as they are derived for rows that come without. */
function* batchesOf(rows: number): Generator<Message[]> {
  const next = random(7);
  for (let start = 0; start < rows; start += BATCH) {
    yield Array.from({ length: Math.min(BATCH, rows - start) }, (_, i) => row(start + i, next));
  }
}

function row(n: number, next: () => number): Message {
  const talk = Math.floor(n / 10);
  return message({
    message_id: createHash("sha256").update(String(n)).digest("hex"),
    user_id: `user-${talk % 5_000}`,
    message: "words as they are said ".repeat(1 + Math.floor(next() * 8)),
    timestamp: minute(n),
    conversation_id: `talk-${talk}`,
    metadata: { source: "bench", turn: n % 10 },
  });
}

/** Writes one batch; `end` does the remaining work after all batches. */
interface Writer {
  write(batch: Message[]): Promise<void> | void;
  end(): Promise<void> | void;
}

function bare(path: string): Writer {
  const db = new DatabaseSync(path);
  db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL");
  db.exec(`CREATE TABLE messages (message_id TEXT PRIMARY KEY, user_id TEXT, message TEXT, timestamp TEXT,
    conversation_id TEXT, role TEXT, intent TEXT, campaign_id TEXT, metadata TEXT)`);
  const insert = db.prepare("INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)");
  db.exec("BEGIN");
  return {
    write(batch) {
      for (const { metadata, ...m } of batch) insert.run(...Object.values(m), JSON.stringify(metadata));
    },
    end() {
      db.exec("COMMIT");
      db.close();
    },
  };
}

function ours(path: string): Writer {
  const store = new SqliteDocuments({ path });
  return {
    write: async (batch) => void await store.upsert({ messages: batch }),
    end: () => store.close(),
  };
}

interface Taken {
  readonly seconds: number;
  /** The largest resident set seen. */
  readonly rss_mb: number;
}

async function measure(rows: number, writer: Writer): Promise<Taken> {
  let ms = 0;
  let rss = 0;
  const timed = async (work: () => Promise<void> | void) => {
    const start = performance.now();
    await work();
    ms += performance.now() - start;
  };
  for (const batch of batchesOf(rows)) {
    await timed(() => writer.write(batch));
    rss = Math.max(rss, Deno.memoryUsage().rss);
  }
  await timed(() => writer.end());
  return { seconds: ms / 1_000, rss_mb: Math.round(rss / 1_048_576) };
}

const rate = (rows: number, seconds: number) => `${Math.round(rows / seconds).toLocaleString("en")} rows/s`;

async function report(rows: number, dir: string): Promise<void> {
  const path = `${dir}/documents.db`;
  const first = await measure(rows, ours(path));
  const repeated = await measure(rows, ours(path));
  const base = await measure(rows, bare(`${dir}/bare.db`));
  const share = (base.seconds / first.seconds).toFixed(2);
  console.log(`${rows.toLocaleString("en")} rows: bare ${rate(rows, base.seconds)}`);
  console.log(`  upsert ${rate(rows, first.seconds)}, ${share} x bare, peak rss ${first.rss_mb} MB`);
  console.log(`  again  ${rate(rows, repeated.seconds)}, peak rss ${repeated.rss_mb} MB`);
}

for (const rows of Deno.args.length > 0 ? Deno.args.map(Number) : [25_000, 250_000]) {
  const dir = await Deno.makeTempDir();
  await report(rows, dir);
  await Deno.remove(dir, { recursive: true });
}
