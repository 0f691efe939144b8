import assert from "node:assert/strict";
import { openEmbedder } from "../../../lib/embed/open.ts";
import { embedderContract } from "../../contracts/embedder.ts";
import { type EmbeddingServer, INFO, type ServerOptions, withEmbeddings } from "../../fixtures/embeddings.ts";
import { runCode } from "../../fixtures/run.ts";
import { dot } from "../../fixtures/vectors.ts";

/** Runs a test against a server; `ask` embeds with the URL's rest, such as `?model=m`. */
function test(what: string, options: ServerOptions, body: (server: EmbeddingServer) => Promise<void>): void {
  Deno.test(`HttpEmbedder ${what}`, () => withEmbeddings(options, body));
}

for (const api of ["openai", "tei"] as const) {
  embedderContract(`HttpEmbedder of ${api}`, () => {
    const { promise, resolve } = Promise.withResolvers<
      Awaited<ReturnType<Parameters<typeof embedderContract>[1]>>
    >();
    const { promise: closed, resolve: close } = Promise.withResolvers<void>();
    const served = withEmbeddings({ dimension: 64 }, async ({ host }) => {
      const url = api === "tei" ? `tei+http://${host}` : `http://${host}/v1/embeddings?model=m`;
      const embedder = await openEmbedder({ url });
      resolve({ embedder, close: async () => (close(), await embedder.close(), await served) });
      await closed;
    });
    return promise;
  });
}

test("asks an OpenAI-compatible endpoint as its reference says", {}, async ({ host, asked }) => {
  const url = `openai+http://${host}?model=m&dimensions=8&api-version=7`;
  const embedder = await openEmbedder({ url, key: { secret: "a secret key", origin: `http://${host}` } });
  assert.deepEqual(embedder.model, { name: "m", revision: "unstated", dimension: 8, pooling: "remote" });
  assert.equal(asked.length, 0);
  await embedder.embed({ texts: ["one", "two words"] });
  const { path, headers, body } = asked[0]!;
  assert.equal(path, "/v1/embeddings");
  assert.equal(headers.get("authorization"), "Bearer a secret key");
  assert.deepEqual(body, {
    model: "m",
    encoding_format: "float",
    dimensions: 8,
    input: ["one", "two words"],
  });
  await embedder.close();
});

test("asks TEI for its model, and respects its batch size", {}, async ({ host, asked }) => {
  const embedder = await openEmbedder({ url: `tei+http://${host}/` });
  assert.deepEqual(embedder.model, {
    name: "somebody/model",
    revision: "0123456789abcdef",
    dimension: 8,
    pooling: "mean",
  });
  await embedder.embed({ texts: ["one", "two", "three", "four", "five"] });
  assert.deepEqual(asked.map(({ path }) => path), ["/info", "/embed", "/embed", "/embed"]);
  const sizes = asked.slice(2).map(({ body }) => body.inputs.length);
  assert.deepEqual(sizes.sort(), [1, 4]);
  assert.deepEqual({ ...asked[2]!.body, inputs: [] }, { inputs: [], normalize: true, truncate: false });
});

test("refuses a TEI that serves no embeddings", {
  info: { ...INFO, model_type: { reranker: { id2label: {} } } },
}, async ({ host }) => {
  await assert.rejects(openEmbedder({ url: `tei+http://${host}` }), {
    message: /which embedding model it has/,
  });
});

const TEXTS = Array.from({ length: 100 }, (_, at) => `text ${at} ${"and more ".repeat(at % 7)}`);

test("keeps to the batch size and concurrency of the URL, over all calls", {
  fault: async () => {
    await new Promise((resolve) => setTimeout(resolve, 20));
    return null;
  },
}, async (server) => {
  const url = `http://${server.host}/v1?model=m&dimensions=8&batch=7&concurrency=3`;
  const embedder = await openEmbedder({ url });
  const calls = await Promise.all([1, 2].map(() => embedder.embed({ texts: [...TEXTS, ...TEXTS] })));
  assert.equal(server.most(), 3);
  assert.equal(server.asked.length, 2 * Math.ceil(100 / 7));
  assert.ok(server.asked.every(({ path, body }) => path === "/v1/embeddings" && body.input.length <= 7));
  const local = await (await openEmbedder({ url: "test:8" })).embed({ texts: TEXTS });
  for (const vectors of calls) {
    assert.deepEqual(vectors.slice(100), vectors.slice(0, 100));
    vectors.slice(0, 100).forEach((vector, at) => assert.ok(dot(vector, local[at]!) > 0.999999));
  }
});

test("bounds a request by characters too", {}, async ({ host, asked }) => {
  const embedder = await openEmbedder({ url: `http://${host}?model=m&dimensions=8` });
  await embedder.embed({ texts: Array.from({ length: 10 }, (_, at) => `${at} `.repeat(10_000)) });
  assert.deepEqual(asked.map(({ body }) => body.input.length).sort(), [1, 3, 3, 3]);
});

test("sends the prefix of its purpose, which makes another model of it", {}, async ({ host, asked }) => {
  const url = `http://${host}?model=m&dimensions=8&query_prefix=query:%20&document_prefix=passage:%20`;
  const embedder = await openEmbedder({ url });
  await embedder.embed({ texts: ["one"] });
  await embedder.embed({ texts: ["one"], as: "document" });
  assert.deepEqual(asked.map(({ body }) => body.input), [["query: one"], ["passage: one"]]);
  assert.match(embedder.model.revision, /^unstated\+[0-9a-f]{8}$/);
});

const LONG = `${"beginning ".repeat(30)}${"end ".repeat(300)}`;
const TWO = ["a short text", LONG];

for (const [api, path] of [["openai", "?model=m"], ["tei", ""]] as const) {
  const url = (host: string) => `${api}+http://${host}${path}`;

  test(`cuts and counts what ${api} refuses as too long`, { longest: 512 }, async ({ host }) => {
    let long = 0;
    const embedder = await openEmbedder({ url: url(host) });
    const [short, cut] = await embedder.embed({ texts: TWO, onLong: (count) => void (long += count) });
    assert.equal(long, 1);
    const [alone, beginning] = await embedder.embed({
      texts: ["a short text", LONG.slice(0, api === "tei" ? 512 : LONG.length / 4)],
    });
    assert.deepEqual(short, alone);
    assert.ok(dot(cut!, beginning!) > 0.99);
  });

  test(`reads what ${api} refuses as too long in parts`, { longest: 512 }, async ({ host }) => {
    let long = 0;
    const embedder = await openEmbedder({ url: url(host), longTexts: "windows" });
    assert.match(embedder.model.pooling, /\+windows$/);
    const [, whole] = await embedder.embed({ texts: TWO, onLong: (count) => void (long += count) });
    assert.equal(long, 1);
    const [end, beginning] = await embedder.embed({ texts: ["end ".repeat(9), "beginning ".repeat(9)] });
    assert.ok(dot(whole!, end!) > 0.7 && dot(whole!, beginning!) > 0.1);
    const repeated = await embedder.embed({ texts: [LONG, ...TEXTS] });
    assert.deepEqual(repeated[0], whole);
  });
}

for (const [api, path] of [["openai", "?model=m&dimensions=8"], ["tei", "?dimensions=8"]] as const) {
  test(
    `reads 64 windows of a text that ${api} refuses, and tries each length once`,
    { longest: 512 },
    async (server) => {
      let long = 0;
      const embedder = await openEmbedder({
        url: `${api}+http://${server.host}${path}`,
        longTexts: "windows",
      });
      const before = server.asked.length;
      const read = "beginning ".repeat(3_200);
      const texts = [read + "end ".repeat(6_000), read + "other ".repeat(4_000)];
      const [one, other] = await embedder.embed({ texts, onLong: (count) => void (long += count) });
      assert.equal(long, 2);
      assert.deepEqual(one, other);
      const sizes = server.asked.slice(before).map(({ body }) => (body.inputs ?? body.input)[0].length);
      assert.equal(sizes.filter((size) => size <= 512).length, 2 * 64);
      assert.ok(sizes.filter((size) => size > 512).length <= 2 * 10, `${sizes}`);
    },
  );
}

test("cuts at the characters of the URL for endpoints that cut in silence", {}, async ({ host, asked }) => {
  let long = 0;
  const embedder = await openEmbedder({ url: `http://${host}?model=m&dimensions=8&max_chars=100` });
  await embedder.embed({ texts: [...TEXTS, LONG], onLong: (count) => void (long += count) });
  assert.equal(long, 1);
  assert.equal(Math.max(...asked.flatMap(({ body }) => body.input.map((text: string) => text.length))), 100);
});

test("needs network permission only", {}, async ({ host }) => {
  const code = (what: string) => `
    import { openEmbedder } from ${JSON.stringify(new URL("../../../lib/embed/open.ts", import.meta.url))};
    const embedder = await openEmbedder({ url: "http://${host}?model=m" }).catch((e) => console.log(e.message));
    console.log(${what});`;
  const said = await runCode({
    code: code('(await embedder.embed({ texts: ["hello"] }))[0].length'),
    permissions: [`--allow-net=${host}`],
  });
  assert.equal(said, "8");
  const denied = await runCode({ code: code('""'), permissions: ["--allow-net=127.0.0.1:1"] });
  assert.match(denied, new RegExp(`--allow-net=${host}`));
});

Deno.test("openEmbedder() refuses the URL of an endpoint that is not whole, without repeating it", async () => {
  const refusals = {
    "http://h/v1/embeddings": /add \?model=NAME/,
    "https://user:secret@h?model=m": /PARLEY_EMBEDDINGS_KEY/,
    "http://h?model=m&dimensions=many": /dimensions that is not a number/,
    "http://h?model=m&batch=0": /batch that is below 1/,
    "http://h:port?model=m": /is not a URL/,
  };
  for (const [url, message] of Object.entries(refusals)) {
    await assert.rejects(openEmbedder({ url }), (error: Error) => {
      assert.match(error.message, message);
      return !error.message.includes("secret");
    });
  }
});
