import { DatabaseSync, hash } from "../../deps.ts";
import type { ModelIdentity } from "../core/types.ts";
import type { Embedder, EmbedOptions } from "./port.ts";

/** Texts that are embedded between two writes: what a break costs. */
const BATCH = 256;

/**
 * An embedder that remembers vectors by the hash of their text, in a file at `path`, and asks `inner` for new texts only. For work
 * that meets the same texts again and again; the file holds no text.
 */
export class CachedEmbedder implements Embedder {
  private readonly db: DatabaseSync;

  constructor(private readonly inner: Embedder, path: string) {
    this.db = new DatabaseSync(path);
    this.db.exec("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF");
    this.db.exec(
      "CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL) WITHOUT ROWID",
    );
  }

  get model(): ModelIdentity {
    return this.inner.model;
  }

  async embed(options: EmbedOptions): Promise<Float32Array[]> {
    const { texts, as = "query" } = options;
    const keys = texts.map((text) => hash("sha256", `${as}\n${text}`, "buffer"));
    const found = keys.map((key) => this.find(key));
    const missing = texts.map((_, i) => i).filter((i) => found[i] === null);
    for (let at = 0; at < missing.length; at += BATCH) {
      const some = missing.slice(at, at + BATCH);
      const vectors = await this.inner.embed({ ...options, texts: some.map((i) => texts[i]!) });
      some.forEach((i, n) => this.keep(keys[i]!, found[i] = vectors[n]!));
    }
    return found as Float32Array[];
  }

  private find(key: Uint8Array): Float32Array | null {
    const row = this.db.prepare("SELECT vector FROM vectors WHERE key = ?").get(key);
    return row === undefined ? null : new Float32Array((row["vector"] as Uint8Array).slice().buffer);
  }

  private keep(key: Uint8Array, vector: Float32Array): void {
    const bytes = new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength);
    this.db.prepare("INSERT OR REPLACE INTO vectors VALUES (?, ?)").run(key, bytes);
  }

  async close(): Promise<void> {
    this.db.close();
    await this.inner.close();
  }
}
