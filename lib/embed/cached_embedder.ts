import { DatabaseSync, hash } from "../../deps.ts";
import { messageOf, ParleyError } from "../core/errors.ts";
import { FILE_MODE } from "../core/file_modes.ts";
import { type ModelIdentity, modelKey } from "../core/types.ts";
import type { Embedder, EmbedOptions } from "./port.ts";

/** Texts that are embedded between two writes, and the most that an interruption loses. */
const BATCH = 256;

/**
 * An embedder that remembers vectors by the hash of model and text, in a file at `path`, and asks `inner` for new texts only. For work
 * that meets the same texts again and again. The file holds no text, but vectors tell of what they were made from.
 */
export class CachedEmbedder implements Embedder {
  private readonly db: DatabaseSync;

  /** Throws `invalid` if the file at `path` is something else or cannot be written. */
  constructor(private readonly inner: Embedder, path: string) {
    this.db = openFile(path);
  }

  get model(): ModelIdentity {
    return this.inner.model;
  }

  async embed(options: EmbedOptions): Promise<Float32Array[]> {
    const { texts, as = "query" } = options;
    const model = modelKey(this.model);
    const keys = texts.map((text) => hash("sha256", `${model}\n${as}\n${text}`, "buffer"));
    const results = keys.map((key) => this.find(key));
    const missing = texts.map((_, i) => i).filter((i) => results[i] === null);
    for (let at = 0; at < missing.length; at += BATCH) {
      const batch = missing.slice(at, at + BATCH);
      const vectors = await this.inner.embed({ ...options, texts: batch.map((i) => texts[i]!) });
      batch.forEach((i, n) => results[i] = vectors[n]!);
      this.save(batch.map((i, n) => [keys[i]!, vectors[n]!]));
    }
    return results as Float32Array[];
  }

  /** Null too if what is stored cannot be a vector of the model. */
  private find(key: Uint8Array): Float32Array | null {
    const bytes = this.db.prepare("SELECT vector FROM vectors WHERE key = ?").get(key)?.["vector"];
    if (!(bytes instanceof Uint8Array) || bytes.length !== 4 * this.model.dimension) return null;
    const vector = new Float32Array(bytes.slice().buffer);
    return vector.every(Number.isFinite) ? vector : null;
  }

  private save(rows: readonly (readonly [Uint8Array, Float32Array])[]): void {
    this.db.exec("BEGIN");
    const insert = this.db.prepare("INSERT OR REPLACE INTO vectors VALUES (?, ?)");
    for (const [key, { buffer, byteOffset, byteLength }] of rows) {
      insert.run(key, new Uint8Array(buffer, byteOffset, byteLength));
    }
    this.db.exec("COMMIT");
  }

  /** Closes the file alone: the embedder is its owner's to close. */
  close(): Promise<void> {
    this.db.close();
    return Promise.resolve();
  }
}

function openFile(path: string): DatabaseSync {
  let db: DatabaseSync | null = null;
  try {
    Deno.openSync(path, { create: true, append: true, mode: FILE_MODE }).close();
    db = new DatabaseSync(path);
    db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL");
    db.exec("CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL) WITHOUT ROWID");
    return db;
  } catch (error) {
    db?.close();
    if (error instanceof Deno.errors.NotCapable) throw error;
    const message = `${path} cannot hold vectors (${messageOf(error)}): name another file, or remove it`;
    throw new ParleyError("invalid", message, { cause: error });
  }
}
