import assert from "node:assert/strict";
import { DeterministicEmbedder } from "../../lib/embed/deterministic_embedder.ts";
import type { Embedder, EmbedOptions } from "../../lib/embed/port.ts";
import type { Artifact, Campaign, Message } from "../../lib/core/types.ts";
import type { Services } from "../../tasks/services.ts";
import { embed, type EmbedOutput } from "../../tasks/steps/embed.ts";
import { sha256 } from "../../lib/core/hash.ts";
import { contextOf, type Reported, withInputStores } from "../fixtures/context.ts";
import { campaign, message } from "../fixtures/rows.ts";

/** Notes what it reads, takes texts of more than 50 characters for long, and fails before it reads more than `capacity` texts. */
class NotingEmbedder implements Embedder {
  readonly read: string[] = [];
  capacity = Infinity;
  private readonly inner = new DeterministicEmbedder(64);
  readonly model = this.inner.model;
  embed(o: EmbedOptions): Promise<Float32Array[]> {
    if (this.read.length + o.texts.length > this.capacity) return Promise.reject(new Error("killed"));
    this.read.push(...o.texts);
    const long = new Set(o.texts.filter((text) => text.length > 50)).size;
    if (long > 0) o.onLong?.(long);
    return this.inner.embed({ texts: o.texts });
  }
  close = () => this.inner.close();
}

interface World {
  readonly services: Services;
  readonly embedder: NotingEmbedder;
  /** Runs the step over these rows. If it fails, the error has what was reported until then. */
  run(
    rows: { messages?: Message[]; campaigns?: Campaign[] },
    checkpoint?: Reported["checkpoint"],
  ): Promise<{ output: EmbedOutput; reported: Reported; vectors: number }>;
}

function withWorld(body: (world: World) => Promise<void>): Promise<void> {
  return withInputStores(async ({ services: input }) => {
    const embedder = new NotingEmbedder();
    const services: Services = Object.assign(Object.create(input), {
      embedder: () => Promise.resolve(embedder),
    });
    const { artifacts } = services;
    async function* lines(rows: readonly unknown[]) {
      for (const row of rows) yield JSON.stringify(row);
    }
    const linesIn = async (parts: readonly Artifact[]) => {
      const rows: { vector: string | null }[] = [];
      for (const { uri } of parts) {
        for await (const line of artifacts.readLines({ uri })) rows.push(JSON.parse(line));
      }
      return rows;
    };
    const run: World["run"] = async ({ messages = [], campaigns = [] }, checkpoint = null) => {
      const spooled = {
        messages: await artifacts.writeLines({ name: "run/validate/messages", lines: lines(messages) }),
        campaigns: await artifacts.writeLines({ name: "run/validate/campaigns", lines: lines(campaigns) }),
      };
      const { context, reported } = contextOf({
        services,
        run_id: "run",
        checkpoint,
      });
      const output = await embed(context, spooled).catch((error) => {
        throw Object.assign(error, { reported });
      });
      const vectors = (await linesIn(output.parts)).filter(({ vector }) => vector !== null).length;
      return { output, reported, vectors };
    };
    await body({ services, embedder, run });
  });
}

const saying = (...texts: string[]) => texts.map((text) => message({ message: text }));
const counts = ({ embedded, reused, long }: EmbedOutput) => ({ embedded, reused, long });

Deno.test("embed() embeds each distinct text once, and counts embedded and reused texts", () =>
  withWorld(async ({ embedder, run }) => {
    const { output, reported, vectors } = await run({
      messages: saying("a red boot", "a blue boot", "a red boot", "a red boot", "x".repeat(60)),
      // Of campaigns, a text has a vector of its own: models with prompts tell the two apart.
      campaigns: [campaign({ title: "a red boot" }), campaign({ title: "a green boot" })],
    });
    assert.deepEqual(counts(output), { embedded: 5, reused: 2, long: 1 });
    assert.deepEqual([embedder.read.length, vectors], [5, 5]);
    assert.deepEqual(reported.log, ["5 texts embedded, 2 had a vector, 1 were longer than the model reads"]);
    assert.deepEqual(reported.rows, { in: 7, out: 5 });
    assert.deepEqual(reported.writes.map(({ rows, quality }) => [rows, quality]), [
      [7, { embedded: 5, reused: 2, long: 1 }],
    ]);
    assert.deepEqual(reported.progress.at(-1), { done: 7, total: 7 });
  }));

Deno.test("embed() counts texts with a vector in the store as reused", () =>
  withWorld(async ({ services, embedder, run }) => {
    const [old, ...fresh] = saying("stored before", "new", "newer");
    const [vector] = await embedder.embed({ texts: [old!.message] });
    const content_hash = sha256(old!.message);
    const store = await services.vectors.forModel({ model: embedder.model });
    await store.upsert({
      collection: "messages",
      rows: [{ id: "m", user_id: "u", role: "user", timestamp: null, content_hash, vector: vector! }],
    });
    embedder.read.length = 0;
    const { output } = await run({ messages: [old!, ...fresh] });
    assert.deepEqual(counts(output), { embedded: 2, reused: 1, long: 0 });
    assert.deepEqual(embedder.read, ["new", "newer"]);
  }));

Deno.test("embed() without rows has no parts and counts nothing", () =>
  withWorld(async ({ run }) => {
    const { output, reported } = await run({});
    assert.deepEqual([output.parts, counts(output)], [[], { embedded: 0, reused: 0, long: 0 }]);
    assert.deepEqual(reported.rows, { in: 0, out: 0 });
  }));

Deno.test("embed() that continues after a whole part counts it once, and embeds none of its texts again", () =>
  withWorld(async ({ embedder, run }) => {
    // 1,024 rows are one part. Every other text of the second is in the first.
    const texts = Array.from({ length: 1_524 }, (_, n) => `text ${n < 1_024 || n % 2 === 1 ? n : n - 1_024}`);
    const rows = { messages: saying(...texts) };
    embedder.capacity = 1_100;
    const killed = await run(rows).then(() => assert.fail("it is killed"), (error) => error);
    const { checkpoint } = killed.reported as Reported;
    assert.deepEqual(counts(checkpoint as unknown as EmbedOutput), { embedded: 1_024, reused: 0, long: 0 });
    embedder.capacity = Infinity;
    embedder.read.length = 0;
    const { output, vectors } = await run(rows, checkpoint);
    assert.deepEqual(counts(output), { embedded: 1_274, reused: 250, long: 0 });
    assert.deepEqual([embedder.read.length, vectors, output.parts.length], [250, 1_274, 2]);
  }));
