/** What an embeddings endpoint can do to its caller, from a server that does it. */
import assert from "node:assert/strict";
import { openEmbedder } from "../../../lib/embed/open.ts";
import type { Embedder } from "../../../lib/embed/port.ts";
import {
  type EmbeddingServer,
  type ServerOptions,
  withCutConnections,
  withEmbeddings,
} from "../../fixtures/embeddings.ts";

const KEY = "sk-0123456789";
const SECRET = "what a user said in confidence";
const urlOf = (host: string, rest = "") => `http://${host}/v1/embeddings?model=m&dimensions=8${rest}`;

/** Runs a test with an embedder whose server answers with `fault` where that gives something. */
function test(
  what: string,
  fault: NonNullable<ServerOptions["fault"]>,
  body: (embedder: Embedder, server: EmbeddingServer) => Promise<void>,
  rest = "",
): void {
  Deno.test(`HttpEmbedder ${what}`, () =>
    withEmbeddings({ fault }, async (server) => {
      await body(
        await openEmbedder({
          url: urlOf(server.host, rest),
          key: { secret: KEY, origin: `http://${server.host}` },
        }),
        server,
      );
    }));
}

/** Embeds a secret and checks that the error is one sentence that names the host, and neither text nor key. */
async function fails(embedder: Embedder, code: string, message: RegExp): Promise<void> {
  await assert.rejects(embedder.embed({ texts: [SECRET] }), (error: Error) => {
    assert.equal("code" in error && error.code, code, error.message);
    assert.match(error.message, message);
    assert.match(error.message, /^the embeddings endpoint 127\.0\.0\.1:\d+ /);
    assert.doesNotMatch(error.message, /\n|confidence|sk-/);
    return true;
  });
}

async function works(embedder: Embedder): Promise<void> {
  const [vector] = await embedder.embed({ texts: [SECRET] });
  assert.equal(vector!.length, 8);
}

const status = (status: number, headers: Record<string, string> = {}) =>
  new Response(`no: ${SECRET}`, { status, headers });
const embeddings = (rows: unknown[]) =>
  Response.json({ data: rows.map((embedding, index) => ({ index, embedding })) });
const row = (rest: object = {}) => Object.assign(Array<unknown>(8).fill(0.5), rest);

for (const code of [500, 503, 429, 408]) {
  test(
    `tries again after HTTP ${code}`,
    (_, count) => count < 3 ? status(code) : null,
    async (embedder, { asked }) => {
      await works(embedder);
      assert.equal(asked.length, 3);
    },
  );
}

const RETRY_AFTER: Record<string, () => string> = {
  "in seconds": () => "1",
  "as a date": () => new Date(Date.now() + 2_000).toUTCString(),
};

for (const [how, header] of Object.entries(RETRY_AFTER)) {
  test(
    `waits for as long as Retry-After says ${how}`,
    (_, count) => count === 1 ? status(429, { "retry-after": header() }) : null,
    async (embedder) => {
      const start = performance.now();
      await works(embedder);
      assert.ok(performance.now() - start >= 900);
    },
  );
}

test(
  "does not wait for an hour, and passes on the requested time",
  () => status(503, { "retry-after": "3600" }),
  async (embedder, { asked }) => {
    await fails(embedder, "unavailable", /HTTP 503/);
    await assert.rejects(embedder.embed({ texts: ["x"] }), { retry_after: "3600" });
    assert.equal(asked.length, 2);
  },
);

test("gives up after five tries", () => status(429, { "retry-after": "0" }), async (embedder, { asked }) => {
  await fails(embedder, "unavailable", /HTTP 429: it takes no more for now/);
  assert.equal(asked.length, 5);
});

for (
  const [what, answer, code, message] of [
    ["says that the key is refused", () => status(401), "denied", /HTTP 401: set PARLEY_EMBEDDINGS_KEY/],
    [
      "says that the path or the model is wrong",
      () => status(404),
      "not_found",
      /HTTP 404: .* path and model/,
    ],
    ["says that the request is refused", () => status(400), "invalid", /HTTP 400: .* dimensions/],
    [
      "follows no redirect",
      () => status(307, { location: "http://127.0.0.1:1/" }),
      "unavailable",
      /redirects/,
    ],
    [
      "refuses vectors of another dimension",
      () => embeddings([[1, 2, 3]]),
      "mismatch",
      /3 dimensions, not of 8/,
    ],
    ["refuses too few vectors", () => embeddings([]), "unavailable", /0 vectors for 1 texts/],
    ["refuses too many vectors", () => embeddings([row(), row()]), "unavailable", /2 vectors for 1 texts/],
    [
      "refuses vectors with null for NaN",
      () => embeddings([row({ 3: null })]),
      "unavailable",
      /vectors of numbers/,
    ],
    ["refuses vectors of zeros", () => embeddings([Array(8).fill(0)]), "unavailable", /without a direction/],
    [
      "refuses NaN as Python writes it",
      () => new Response('{"data":[{"index":0,"embedding":[NaN]}]}'),
      "unavailable",
      /not JSON/,
    ],
    [
      "refuses infinite numbers",
      () => new Response(`{"data":[{"index":0,"embedding":[${Array(8).fill("1e999")}]}]}`),
      "unavailable",
      /vectors of numbers/,
    ],
    [
      "refuses numbers twice",
      () => Response.json({ data: [{ index: 0, embedding: row() }, { index: 0, embedding: row() }] }),
      "unavailable",
      /numbered vectors/,
    ],
    ["refuses what is not JSON", () => new Response("<html>hello</html>"), "unavailable", /not JSON/],
    [
      "refuses JSON of another kind",
      () => Response.json({ detail: SECRET }),
      "unavailable",
      /numbered vectors/,
    ],
    [
      "refuses an answer without end",
      () => new Response("x".repeat(65 * 2 ** 20)),
      "unavailable",
      /more than 64 MiB/,
    ],
  ] as const
) {
  test(what, answer, async (embedder, { asked }) => {
    await fails(embedder, code, message);
    assert.equal(asked.length, 1);
  });
}

test("puts vectors into order by their index", async ({ body }) => {
  const { data } = await (await reference(body.input)).json();
  return Response.json({ data: data.toReversed() });
}, async (embedder) => {
  const texts = ["one", "two", "three", "four"];
  assert.deepEqual(await embedder.embed({ texts }), await direct(texts));
});

/** What a well-behaved server says. */
async function reference(texts: readonly string[]): Promise<Response> {
  return embeddings((await direct(texts)).map((vector) => Array.from(vector)));
}

async function direct(texts: readonly string[]): Promise<Float32Array[]> {
  const embedder = await openEmbedder({ url: "test:8" });
  return await embedder.embed({ texts });
}

const hang = ({ signal }: { signal: AbortSignal }) =>
  new Promise<Response>((resolve) => signal.addEventListener("abort", () => resolve(status(500))));

Deno.test("HttpEmbedder gives up a server that hangs, at its time and at the caller's signal", async () => {
  const over = new AbortController();
  await withEmbeddings({ fault: () => hang(over) }, async ({ host, asked }) => {
    const impatient = await openEmbedder({ url: urlOf(host, "&timeout_ms=20") });
    await fails(impatient, "unavailable", /did not answer within 0\.02 s/);
    assert.equal(asked.length, 5);
    const patient = await openEmbedder({ url: urlOf(host) });
    const reason = new Error("stop");
    const controller = new AbortController();
    setTimeout(() => controller.abort(reason), 20);
    await assert.rejects(patient.embed({ texts: [SECRET], signal: controller.signal }), reason);
    over.abort();
  });
});

Deno.test("HttpEmbedder takes a server that is slow", () =>
  withEmbeddings({
    fault: async () => {
      await new Promise((resolve) => setTimeout(resolve, 300));
      return null;
    },
  }, async ({ host, asked }) => {
    await works(await openEmbedder({ url: urlOf(host) }));
    assert.equal(asked.length, 1);
  }));

test(
  "stops waiting for another try when it is aborted",
  () => status(429, { "retry-after": "30" }),
  async (embedder) => {
    const reason = new Error("stop");
    const controller = new AbortController();
    setTimeout(() => controller.abort(reason), 50);
    const start = performance.now();
    await assert.rejects(embedder.embed({ texts: [SECRET], signal: controller.signal }), reason);
    assert.ok(performance.now() - start < 10_000);
  },
);

for (
  const [when, bytes] of Object.entries({
    "before it answers": "",
    "in the middle of an answer": 'HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{"data":[',
  })
) {
  Deno.test(`HttpEmbedder tries again if the connection is cut ${when}`, () =>
    withCutConnections(bytes, async (host, count) => {
      await fails(await openEmbedder({ url: urlOf(host) }), "unavailable", /cut the connection/);
      assert.ok(count() >= 5);
    }));
}

Deno.test("HttpEmbedder says that no endpoint is listening", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  await fails(await openEmbedder({ url: urlOf(`127.0.0.1:${port}`) }), "unavailable", /could not be reached/);
});

test(
  "fails a call with the first request that fails, and asks no more",
  ({ body }) => body.input.some((text: string) => text.includes("17")) ? status(401) : null,
  async (embedder, { asked }) => {
    const texts = Array.from({ length: 200 }, (_, at) => `${"word ".repeat(at)}${at}`);
    await assert.rejects(embedder.embed({ texts }), { code: "denied" });
    assert.ok(asked.length < 100);
  },
  "&batch=1&concurrency=2",
);
