import assert from "node:assert/strict";
import { openEmbedder } from "../lib/embed/open.ts";
import { postJson } from "../lib/outbox/delivery.ts";
import { type EmbeddingServer, withEmbeddings } from "./fixtures/embeddings.ts";
import { nightlyRun, runDag, withFlow, writeRows } from "./fixtures/flow.ts";

const KEY = "a key for one endpoint alone";
const urlOf = ({ host }: EmbeddingServer) => `http://${host}/v1/embeddings?model=m`;
const authorizations = ({ asked }: EmbeddingServer) => [
  ...new Set(asked.map(({ headers }) => headers.get("authorization"))),
];
const MESSAGE = { user_id: "ann", message: "hello", timestamp: "2026-05-01T10:00:00Z" };
const CAMPAIGN = { campaign_id: "c", title: "Shoes" };

/** Runs a test with published data of an endpoint whose key is set, and another endpoint. */
function test(
  name: string,
  other: Parameters<typeof withEmbeddings>[0],
  body: (
    options: { own: EmbeddingServer; other: EmbeddingServer; reembed: () => ReturnType<typeof runDag> },
  ) => Promise<
    void
  >,
): void {
  Deno.test(
    name,
    () =>
      withEmbeddings({}, (own) =>
        withEmbeddings(other, (other) =>
          withFlow(async (flow) => {
            const paths = {
              messages: [writeRows(flow, "m.ndjson", [MESSAGE])],
              campaigns: [writeRows(flow, "c.ndjson", [CAMPAIGN])],
            };
            assert.equal((await nightlyRun(flow, paths)).outcome, "success");
            const reembed = async () => {
              const ran = await runDag(flow, "reembed", { model: urlOf(other) });
              logs = (await flow.runs.logs({ run_id: ran.snapshot.run.run_id, limit: 99, after: 0 }))
                .map(({ line }) => line).join("\n");
              return ran;
            };
            await body({ own, other, reembed });
          }, { PARLEY_EMBEDDINGS: urlOf(own), PARLEY_EMBEDDINGS_KEY: KEY }))),
  );
}
let logs = "";

test("the embeddings key goes to its own endpoint, and with reembed to no other", {}, async (options) => {
  assert.deepEqual(authorizations(options.own), [`Bearer ${KEY}`]);
  assert.equal((await options.reembed()).outcome, "success");
  assert.ok(options.other.asked.length > 0);
  assert.deepEqual(authorizations(options.other), [null]);
  assert.ok(logs.includes(`PARLEY_EMBEDDINGS_KEY is not sent to ${options.other.host}`), logs);
});

test("an endpoint that asks for a key is not shown another's, and the run says what to do", {
  fault: ({ headers }) => headers.has("authorization") ? null : new Response("no", { status: 401 }),
}, async (options) => {
  const { outcome, snapshot } = await options.reembed();
  assert.equal(outcome, "failed");
  assert.deepEqual(authorizations(options.other), [null]);
  assert.match(snapshot.run.error ?? "", /HTTP 401: PARLEY_EMBEDDINGS_KEY is not sent to 127\.0\.0\.1:\d+/);
  assert.match(
    snapshot.run.error ?? "",
    /PARLEY_EMBEDDINGS=URL PARLEY_EMBEDDINGS_KEY=KEY deno task pipeline/,
  );
});

Deno.test("a key is held back from another scheme, host or port", () =>
  withEmbeddings({}, async (server) => {
    const { port } = new URL(`http://${server.host}`);
    const origins = ["https://127.0.0.1", "http://127.0.0.1:1", `http://localhost:${port}`, null];
    for (const origin of [...origins, `https://${server.host}`]) {
      const notes: string[] = [];
      await openEmbedder({
        url: urlOf(server),
        key: { secret: KEY, origin },
        onNote: (line) => notes.push(line),
      });
      assert.equal(notes.length, 1, origin ?? "no origin");
    }
    assert.deepEqual(authorizations(server), [null]);
    await openEmbedder({ url: urlOf(server), key: { secret: KEY, origin: `http://${server.host}` } });
    assert.deepEqual(authorizations(server), [null, `Bearer ${KEY}`]);
  }));

Deno.test("neither an endpoint nor a lineage sink takes its key elsewhere by a redirect", () =>
  withEmbeddings({}, async (other) => {
    const redirect = () => new Response(null, { status: 307, headers: { location: urlOf(other) } });
    await withEmbeddings({ fault: redirect }, async (own) => {
      const key = { secret: KEY, origin: `http://${own.host}` };
      await assert.rejects(openEmbedder({ url: urlOf(own), key }), /it redirects/);
      const request = {
        url: new URL(`http://${own.host}`),
        headers: { authorization: `Bearer ${KEY}` },
        body: "{}",
        settings: { url: "", key: "" },
      };
      const { signal } = new AbortController();
      const verdict = await postJson(request, { timeout_ms: 5_000, signal });
      assert.equal(verdict.kind, "failed");
      assert.deepEqual(authorizations(own), [`Bearer ${KEY}`]);
    });
    assert.deepEqual(other.asked, []);
  }));
