import assert from "node:assert/strict";
import type { Embedder } from "../../lib/embed/port.ts";
import { dot } from "../fixtures/vectors.ts";

const TEXTS = [
  "I want to watch a funny movie with my kids",
  "Can you suggest a funny movie for my kids",
  "The invoice for March is still not paid",
  "ok",
];

type Open = () => Promise<{ embedder: Embedder; close(): Promise<void> }>;

/** What every embedder does. `open` gives one of the same model each time; `share` one for all tests, if opening takes long. */
export function embedderContract(name: string, open: Open, share: Open = open): void {
  const test = (what: string, body: (embedder: Embedder) => Promise<void>) =>
    Deno.test(`${name}: ${what}`, async () => {
      const { embedder, close } = await share();
      try {
        await body(embedder);
      } finally {
        await close();
      }
    });

  test("embed() returns a unit vector of the model's dimension for each text, in order", async (embedder) => {
    const vectors = await embedder.embed({ texts: TEXTS });
    assert.equal(vectors.length, TEXTS.length);
    vectors.forEach((vector) => assertUnit(embedder, vector));
    assert.deepEqual(await embedder.embed({ texts: TEXTS.toReversed() }), vectors.toReversed());
    assert.deepEqual(await embedder.embed({ texts: [] }), []);
  });

  test("embed() returns the same bytes for a text in any batch", async (embedder) => {
    const [alone] = await embedder.embed({ texts: ["Any good thrillers lately?"] });
    const others = Array.from({ length: 40 }, (_, at) => `text number ${at} ${"and so on ".repeat(at % 10)}`);
    others.splice(23, 0, "Any good thrillers lately?");
    others.push("Any good thrillers lately?");
    const calls = await Promise.all([embedder.embed({ texts: others }), embedder.embed({ texts: others })]);
    for (const vectors of calls) {
      assert.deepEqual(vectors[23], alone);
      assert.deepEqual(vectors.at(-1), alone);
    }
  });

  test("embed() returns the same bytes each time a model is opened", async (embedder) => {
    const { embedder: other, close } = await open();
    try {
      assert.deepEqual(other.model, embedder.model);
      assert.deepEqual(await other.embed({ texts: TEXTS }), await embedder.embed({ texts: TEXTS }));
    } finally {
      await close();
    }
  });

  test("embed() maps texts with common words nearer to each other than to others", async (embedder) => {
    const [comedy, alike, invoice] = await embedder.embed({ texts: TEXTS });
    assert.ok(dot(comedy!, alike!) > dot(comedy!, invoice!) + 0.1);
  });

  test("embed() accepts any text that is not blank", async (embedder) => {
    const texts = [
      "\ud800 half a pair",
      "\udc00",
      "?!",
      "\u0000",
      "🎬🍿",
      "مرحبا",
      "x".repeat(300_000),
      "a ".repeat(50_000),
    ];
    for (const vector of await embedder.embed({ texts })) assertUnit(embedder, vector);
  });

  test("embed() rejects a blank text and names its position", async (embedder) => {
    for (const blank of ["", " \t\n", "\u00a0"]) {
      await assert.rejects(embedder.embed({ texts: ["secret words", blank] }), (error: Error) => {
        assert.equal("code" in error && error.code, "invalid");
        assert.match(error.message, /2 of 2/);
        return !error.message.includes("secret");
      });
    }
  });

  test("embed() throws the signal's reason when it is aborted", async (embedder) => {
    const reason = new Error("stop");
    const signal = AbortSignal.abort(reason);
    await assert.rejects(embedder.embed({ texts: TEXTS, signal }), reason);
    assert.equal((await embedder.embed({ texts: TEXTS })).length, TEXTS.length);
  });
}

function assertUnit(embedder: Embedder, vector: Float32Array): void {
  assert.equal(vector.length, embedder.model.dimension);
  assert.ok(Math.abs(Math.sqrt(dot(vector, vector)) - 1) < 1e-5);
}
