import assert from "node:assert/strict";
import { DatabaseSync } from "../../../deps.ts";
import { CachedEmbedder } from "../../../lib/embed/cached_embedder.ts";
import { DeterministicEmbedder } from "../../../lib/embed/deterministic_embedder.ts";
import type { EmbedOptions } from "../../../lib/embed/port.ts";

/** Notes the texts that it is asked for. */
class Counted extends DeterministicEmbedder {
  readonly texts: string[] = [];
  override embed(options: EmbedOptions): Promise<Float32Array[]> {
    this.texts.push(...options.texts);
    return super.embed(options as { texts: readonly string[] });
  }
}

async function inFile(body: (path: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  await body(`${folder}/vectors.db`).finally(() => Deno.remove(folder, { recursive: true }));
}

async function embed(path: string, inner: Counted, texts: string[], as: "query" | "document" = "query") {
  const embedder = new CachedEmbedder(inner, path);
  return await embedder.embed({ texts, as }).finally(() => embedder.close());
}

Deno.test("CachedEmbedder embeds each text once for a model and purpose, and later from its file", () =>
  inFile(async (path) => {
    const inner = new Counted(8);
    const first = await embed(path, inner, ["one", "two"]);
    assert.deepEqual(await embed(path, inner, ["two", "three", "one"]), [
      first[1],
      (await new DeterministicEmbedder(8).embed({ texts: ["three"] }))[0],
      first[0],
    ]);
    assert.deepEqual(inner.texts, ["one", "two", "three"]);
    await embed(path, inner, ["one"], "document");
    assert.deepEqual(inner.texts, ["one", "two", "three", "one"]);
    const other = new Counted(16);
    assert.equal((await embed(path, other, ["one"]))[0]!.length, 16);
    assert.deepEqual(other.texts, ["one"]);
    assert.equal((await Deno.stat(path)).mode! & 0o077, 0);
  }));

Deno.test("CachedEmbedder embeds damaged entries of its file again, and refuses a file that is not its own", () =>
  inFile(async (path) => {
    const inner = new Counted(8);
    const [vector] = await embed(path, inner, ["one"]);
    for (const bytes of [new Uint8Array(4), new Uint8Array(new Float32Array(8).fill(NaN).buffer)]) {
      const db = new DatabaseSync(path);
      db.prepare("UPDATE vectors SET vector = ?").run(bytes);
      db.close();
      assert.deepEqual(await embed(path, inner, ["one"]), [vector]);
    }
    assert.deepEqual(inner.texts, ["one", "one", "one"]);
    Deno.writeTextFileSync(path, "something else".repeat(100));
    for (const wrong of [path, `${path}/in/no/folder`]) {
      assert.throws(
        () => new CachedEmbedder(inner, wrong),
        /cannot hold vectors .*: name another file, or remove it/,
      );
    }
  }));
