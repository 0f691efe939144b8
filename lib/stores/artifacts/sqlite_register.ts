import { DatabaseSync, join, type StatementSync } from "../../../deps.ts";
import { FILE_MODE, FOLDER_MODE } from "../../core/file_modes.ts";
import { Bloom } from "./bloom.ts";
import type { Register } from "./port.ts";

/** Fresh claims held in memory before they are written in the order of their keys. */
const MAX_BUFFERED = 20_000;
/** Claims that one statement writes, to save calls. */
const ROWS_PER_STATEMENT = 50;

/** A temporary file is never read again, so it needs no protection: no journal, no sync, no other reader. */
const PRAGMAS = [
  "page_size = 8192",
  "journal_mode = OFF",
  "synchronous = OFF",
  "locking_mode = EXCLUSIVE",
  "cache_size = -16384",
];

/**
 * A register in a temporary SQLite file. Random keys would write a page each; so fresh claims are collected in memory and
 * written sorted, and a Bloom filter shows for most fresh keys that they are not in the file. Memory: about 16 MB
 * of pages, 8 MB of filter and 50,000 claims.
 */
class SqliteRegister implements Register {
  private readonly db: DatabaseSync;
  private readonly insert: StatementSync;
  private readonly select: StatementSync;
  /** Made by the first flush: before it there is nothing in the file. */
  private filter: Bloom | null = null;
  private fresh = new Map<string, string>();

  constructor(private readonly path: string) {
    Deno.openSync(path, { write: true, createNew: true, mode: FILE_MODE }).close();
    this.db = new DatabaseSync(path);
    for (const pragma of PRAGMAS) this.db.exec(`PRAGMA ${pragma}`);
    this.db.exec("CREATE TABLE claims (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID");
    unlink(path);
    this.db.exec("BEGIN");
    this.insert = this.db.prepare(
      `INSERT INTO claims VALUES ${Array(ROWS_PER_STATEMENT).fill("(?, ?)").join(", ")}`,
    );
    this.select = this.db.prepare("SELECT value FROM claims WHERE key = ?");
  }

  putIfAbsent(key: string, value: string): string | null {
    const first = this.fresh.get(key) ?? this.lookUp(key);
    if (first !== null) return first;
    this.fresh.set(key, value);
    if (this.fresh.size === MAX_BUFFERED) this.flush();
    return null;
  }

  close(): void {
    if (this.db.isOpen) this.db.close();
    unlink(this.path);
  }

  private lookUp(key: string): string | null {
    if (!this.filter?.addedBefore(key)) return null;
    return (this.select.get(key) as { value: string } | undefined)?.value ?? null;
  }

  private flush(): void {
    const keys = [...this.fresh.keys()].sort();
    if (this.filter === null) {
      this.filter = new Bloom();
      for (const key of keys) this.filter.addedBefore(key);
    }
    for (let at = 0; at < MAX_BUFFERED; at += ROWS_PER_STATEMENT) {
      this.insert.run(
        ...keys.slice(at, at + ROWS_PER_STATEMENT).flatMap((key) => [key, this.fresh.get(key)!]),
      );
    }
    this.fresh = new Map();
  }
}

/**
 * Removes the file from its folder. If the system allows it for an open file, as POSIX does, the bytes go with the process
 * however that ends; elsewhere it works once the file is closed.
 */
function unlink(path: string): void {
  try {
    Deno.removeSync(path);
  } catch { /* removed already, or still open on a system that keeps open files */ }
}

const REGISTER = ".register-";

/** A register in this folder, which is made. */
export async function openRegister(folder: string): Promise<Register> {
  await Deno.mkdir(folder, { recursive: true, mode: FOLDER_MODE });
  // On systems that cannot unlink an open file, a process that died leaves its register; open ones stay.
  for await (const { name } of Deno.readDir(folder)) {
    if (name.startsWith(REGISTER)) await Deno.remove(join(folder, name)).catch(() => {});
  }
  return new SqliteRegister(join(folder, REGISTER + crypto.randomUUID()));
}
