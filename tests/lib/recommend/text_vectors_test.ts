import assert from "node:assert/strict";
import { ParleyError } from "../../../lib/core/errors.ts";
import { sha256 } from "../../../lib/core/hash.ts";
import { modelKey } from "../../../lib/core/types.ts";
import { openDeterministic } from "../../../lib/embed/deterministic_embedder.ts";
import type { Embedder } from "../../../lib/embed/port.ts";
import { TextVectors } from "../../../lib/recommend/text_vectors.ts";
import { until } from "../../fixtures/until.ts";

const embedder = openDeterministic("16");
const model = modelKey(embedder.model);
const NONE = () => Promise.resolve(new Map<string, Float32Array>());

/** Counts the texts that reach the model, and lets them wait for `gate`. */
function counting(gate: Promise<void> = Promise.resolve()) {
  const asked: string[] = [];
  const wrapped: Embedder = {
    model: embedder.model,
    close: () => Promise.resolve(),
    embed: async (options) => {
      asked.push(...options.texts);
      await gate;
      options.signal?.throwIfAborted();
      return await embedder.embed({ texts: options.texts });
    },
  };
  return { asked, vectors: new TextVectors(() => Promise.resolve(wrapped)) };
}

Deno.test("TextVectors.of() embeds each text once, in order, and takes the rest from the store and from memory", async () => {
  const { asked, vectors } = counting();
  const [one, two, three] = await embedder.embed({ texts: ["one", "two", "three"] });
  const stored = (hashes: readonly string[]) =>
    Promise.resolve(new Map(hashes.includes(sha256("two")) ? [[sha256("two"), two!]] : []));
  const texts = ["one", "two", "one", "three"];
  assert.deepEqual(await vectors.of({ texts, model, stored }), [one, two, one, three]);
  assert.deepEqual(asked.toSorted(), ["one", "three"]);
  const unasked = () => Promise.reject(new Error("the store was asked"));
  assert.deepEqual(await vectors.of({ texts: ["three", "two"], model, stored: unasked }), [three, two]);
  assert.equal(asked.length, 2);
});

Deno.test("TextVectors.of() refuses a model that is another one than the data's", async () => {
  const { vectors } = counting();
  await assert.rejects(
    vectors.of({ texts: ["one"], model: "other@1/16/mean", stored: NONE }),
    (error) => error instanceof ParleyError && error.code === "unavailable",
  );
});

Deno.test("TextVectors.of() refuses what finds no slot at once, and says that the model is not down", async () => {
  const gate = Promise.withResolvers<void>();
  const { vectors } = counting(gate.promise);
  const requests = Array.from(
    { length: 12 },
    (_, n) => vectors.of({ texts: [`text ${n}`], model, stored: NONE }),
  );
  const outcomes = Promise.allSettled(requests);
  const refused = await Promise.race(requests.map((request) => request.then(() => null, (error) => error)));
  assert.ok(refused instanceof ParleyError && refused.code === "conflict");
  gate.resolve();
  const states = (await outcomes).map(({ status }) => status);
  assert.deepEqual(states, [...Array(6).fill("fulfilled"), ...Array(6).fill("rejected")]);
  assert.equal((await vectors.of({ texts: ["after"], model, stored: NONE })).length, 1);
});

Deno.test("TextVectors.of() keeps what was embedded before its signal ended it, and embeds the rest later", async () => {
  const controller = new AbortController();
  const asked: string[] = [];
  const aborting: Embedder = {
    model: embedder.model,
    close: () => Promise.resolve(),
    embed: ({ texts }) => {
      asked.push(...texts);
      if (asked.length === 4) controller.abort(new Error("late"));
      return embedder.embed({ texts });
    },
  };
  const vectors = new TextVectors(() => Promise.resolve(aborting));
  const texts = Array.from({ length: 12 }, (_, n) => `text ${n}`);
  await assert.rejects(vectors.of({ texts, model, stored: NONE, signal: controller.signal }), /late/);
  assert.deepEqual(asked, texts.slice(0, 4));
  await until(() => asked.length === texts.length);
  assert.deepEqual(asked, texts);
});

Deno.test("TextVectors.of() embeds two texts even without time, and the rest for the next call", async () => {
  const { asked, vectors } = counting();
  const texts = Array.from({ length: 6 }, (_, n) => `text ${n}`);
  const made = await vectors.of({ texts, model, stored: NONE, hasTime: () => false });
  assert.deepEqual(made.map((vector) => vector !== null), [true, true, false, false, false, false]);
  await until(() => asked.length === 6);
  assert.deepEqual(asked, texts);
  const unasked = () => Promise.reject(new Error("the store was asked"));
  await until(async () => {
    const next = await vectors.of({ texts, model, stored: unasked, hasTime: () => false }).catch(() => null);
    return next !== null && !next.includes(null);
  });
  assert.equal(asked.length, 6);
});

Deno.test("TextVectors.of() embeds the rest even while other requests need the model all the time", async () => {
  const asked: string[] = [];
  const gate = Promise.withResolvers<void>();
  const vectors = new TextVectors(() =>
    Promise.resolve({
      model: embedder.model,
      close: () => Promise.resolve(),
      embed: async ({ texts }) => {
        asked.push(...texts);
        if (texts[0] === "busy") await gate.promise;
        return await embedder.embed({ texts });
      },
    })
  );
  const busy = vectors.of({ texts: ["busy"], model, stored: NONE });
  const texts = Array.from({ length: 6 }, (_, n) => `text ${n}`);
  await vectors.of({ texts, model, stored: NONE, hasTime: () => false });
  await until(() => asked.length === 7);
  assert.deepEqual(asked, ["busy", ...texts]);
  gate.resolve();
  await busy;
});

Deno.test("TextVectors.of() continues after the model failed for a text that was left for later", async () => {
  const asked: string[] = [];
  let isDown = false;
  const vectors = new TextVectors(() =>
    Promise.resolve({
      model: embedder.model,
      close: () => Promise.resolve(),
      embed: ({ texts }) => {
        asked.push(...texts);
        return isDown ? Promise.reject(new Error("down")) : embedder.embed({ texts });
      },
    })
  );
  const hasTime = () => !(isDown = asked.length === 2);
  const texts = Array.from({ length: 4 }, (_, n) => `text ${n}`);
  await vectors.of({ texts, model, stored: NONE, hasTime });
  await until(() => asked.length === 3);
  isDown = false;
  const other = await vectors.of({ texts: ["other", ...texts], model, stored: NONE });
  assert.ok(!other.includes(null));
  assert.deepEqual(asked, [...texts.slice(0, 3), "other", ...texts.slice(2)]);
});
