import assert from "node:assert/strict";
import { openEmbedder } from "../../../lib/embed/open.ts";
import { TINY } from "../../fixtures/models.ts";

const COMMIT = "0123456789abcdef0123456789abcdef01234567";

interface HubServer {
  readonly endpoint: string;
  /** Requests so far, as `METHOD revision/file`. */
  readonly asked: string[];
  /** What they showed as their token. */
  readonly tokens: Set<string | null>;
  readonly cache: string;
}

/** Serves the tiny model as a hub does, or what `fault` says instead. */
async function withHub(
  fault: (asked: string) => Response | null,
  body: (hub: HubServer) => Promise<void>,
): Promise<void> {
  const cache = await Deno.makeTempDir();
  const asked: string[] = [];
  const tokens = new Set<string | null>();
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const [, owner, name, resolve, revision, ...file] = new URL(request.url).pathname.split("/");
    assert.deepEqual([owner, name, resolve], ["somebody", "tiny-roberta-1024", "resolve"]);
    asked.push(`${request.method} ${revision}/${file.join("/")}`);
    tokens.add(request.headers.get("authorization"));
    const response = fault(asked.at(-1)!);
    if (response !== null) return response;
    const bytes = await Deno.readFile(`${TINY}/${file.join("/")}`).catch(() => null);
    const headers = { "x-repo-commit": COMMIT };
    return bytes === null
      ? new Response("Entry not found", { status: 404 })
      : new Response(bytes, { headers });
  });
  try {
    await body({ endpoint: `http://127.0.0.1:${server.addr.port}`, asked, tokens, cache });
  } finally {
    await server.shutdown();
    await Deno.remove(cache, { recursive: true });
  }
}

const open = ({ endpoint, cache }: HubServer, query = "", token: string | null = null) =>
  openEmbedder({
    url: `onnx:somebody/tiny-roberta-1024${query}`,
    sessions: 1,
    hub: { endpoint, cache, token },
  });

Deno.test(
  "openEmbedder() fetches a model of a hub once, all of one commit",
  () =>
    withHub(() => null, async (hub) => {
      const local = await openEmbedder({ url: `onnx:${TINY}`, sessions: 1 });
      const fetched = await open(hub);
      assert.deepEqual(fetched.model, local.model);
      assert.deepEqual(await fetched.embed({ texts: ["hello"] }), await local.embed({ texts: ["hello"] }));
      await fetched.close();
      const [first, ...others] = hub.asked;
      assert.equal(first, "GET main/modules.json");
      assert.ok(others.every((asked) => asked.includes(` ${COMMIT}/`)));
      const count = hub.asked.length;
      assert.deepEqual((await open({ ...hub, endpoint: "http://127.0.0.1:1" })).model, local.model);
      assert.equal(hub.asked.length, count);
      await local.close();
    }),
);

Deno.test(
  "openEmbedder() continues a fetch that was interrupted, at the commit where it began",
  () =>
    withHub(() => null, async (hub) => {
      const cut = (asked: string) =>
        asked.startsWith("GET") && asked.endsWith("/model.onnx")
          ? new Response(new Blob([new Uint8Array(500)]).stream(), {
            headers: { "content-length": "573227" },
          })
          : null;
      const message = /somebody\/tiny-roberta-1024 at 127\.0\.0\.1:\d+ could not be fetched/;
      await withHub(
        cut,
        ({ endpoint }) => assert.rejects(open({ ...hub, endpoint }), { code: "unavailable", message }),
      );
      assert.deepEqual(await weightsIn(hub), []);
      await (await open(hub)).close();
      assert.deepEqual(hub.asked.filter((asked) => asked.includes(".json")), [
        `GET ${COMMIT}/config_sentence_transformers.json`,
      ]);
      assert.deepEqual(await weightsIn(hub), ["model.onnx"]);
    }),
);

async function weightsIn({ cache }: HubServer): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of Deno.readDir(`${cache}/somebody/main/tiny-roberta-1024/onnx`)) {
    names.push(name);
  }
  return names;
}

Deno.test(
  "openEmbedder() fetches the revision and the weights that it is asked for",
  () =>
    withHub(() => null, async (hub) => {
      await assert.rejects(open(hub, "?revision=v1.0&dtype=fp16"), {
        code: "not_found",
        message: /has none of onnx\/model_fp16\.onnx, model_fp16\.onnx/,
      });
      assert.equal(hub.asked[0], "GET v1.0/modules.json");
      await (await open(hub, "?revision=v1.0")).close();
    }),
);

Deno.test("openEmbedder() says what a hub refuses", async () => {
  const refusals = [
    [401, "denied", /not open to all \(HTTP 401\).*HF_TOKEN/],
    [404, "not_found", /has no modules\.json/],
    [503, "unavailable", /HTTP 503/],
  ] as const;
  for (const [status, code, message] of refusals) {
    await withHub(() => new Response("no", { status }), async (hub) => {
      await assert.rejects(open(hub), { code, message });
    });
  }
});

/** Sends on to another place. */
const to = (location: string) => new Response(null, { status: 302, headers: { location } });

Deno.test(
  "openEmbedder() shows a hub's token to the hub, and not where that redirects to",
  () =>
    withHub(() => null, (cdn) => {
      const elsewhere = cdn.endpoint.replace("127.0.0.1", "localhost");
      const weights = (asked: string) => `/somebody/tiny-roberta-1024/resolve/${asked.split(" ")[1]}`;
      const fault = (asked: string) => asked.endsWith(".onnx") ? to(elsewhere + weights(asked)) : null;
      return withHub(fault, async (hub) => {
        await (await open(hub, "", "hf_secret")).close();
        assert.deepEqual([...hub.tokens], ["Bearer hf_secret"]);
        assert.ok(cdn.asked.some((asked) => asked.endsWith("model.onnx")));
        assert.deepEqual([...cdn.tokens], [null]);
      });
    }),
);

Deno.test("openEmbedder() follows a hub to no file, and not for ever", async () => {
  const refusals = [
    [`file://${TINY}/modules.json`, "denied", /sends on to an address that is not https/],
    ["/somebody/tiny-roberta-1024/resolve/main/modules.json", "unavailable", /more than 5 times/],
  ] as const;
  for (const [location, code, message] of refusals) {
    await withHub(() => to(location), (hub) => assert.rejects(open(hub), { code, message }));
  }
});
