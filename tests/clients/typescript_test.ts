import assert from "node:assert/strict";
import type { Hono } from "../../deps.ts";
import { createParleyClient, type Schemas } from "../../clients/typescript/mod.ts";
import { appTest } from "../routes/app.ts";

const ROOT = new URL("../../", import.meta.url);
const KEY = "a-key-of-sixteen-characters";

/** Runs with a listener of this app; `first` may answer before it does. */
async function listening(
  app: Hono,
  body: (url: string) => Promise<void>,
  first?: (request: Request) => Response | undefined,
) {
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request) => first?.(request) ?? app.fetch(request),
  );
  try {
    await body(`http://127.0.0.1:${server.addr.port}`);
  } finally {
    await server.shutdown();
  }
}

const busy = (status: number, headers: Record<string, string>) => () =>
  new Response(null, { status, headers });

appTest(
  "createParleyClient() gives a typed answer, and a typed problem",
  ({ app }) =>
    listening(app, async (url) => {
      const parley = createParleyClient({ url, key: KEY });
      const params = { path: { user_id: "ann/é" }, query: { k: 2 } };
      const { data, error } = await parley.GET("/recommendations/{user_id}", { params });
      assert.equal(error, undefined);
      const items: Schemas["Item"][] = data?.items ?? [];
      assert.deepEqual([data?.user_id, items.length], ["ann/é", 2]);
      const denied = await parley.POST("/pipeline/anomalies/acknowledge", { body: { id: "x", until: "8h" } });
      const problem: Schemas["Problem"] | undefined = denied.error;
      assert.deepEqual([denied.response.status, problem?.code, denied.data], [403, "denied", undefined]);
      const lost = createParleyClient({ url });
      assert.equal((await lost.GET("/metrics")).response.status, 401);
    }),
  { options: () => ({ keys: [{ key: KEY, scopes: ["read"] }] }) },
);

appTest(
  "createParleyClient() writes campaigns with metadata, and changes them",
  ({ app }) =>
    listening(app, async (url) => {
      const parley = createParleyClient({ url });
      const written = await parley.POST("/campaigns", {
        body: [{
          campaign_id: "tent",
          title: "Tent",
          tags: ["camping"],
          metadata: { price: 80, sizes: ["S"] },
        }],
      });
      assert.equal(written.data?.rows[0]?.status, "inserted", JSON.stringify(written.error));
      const changed = await parley.PATCH("/campaigns/{campaign_id}", {
        params: { path: { campaign_id: "tent" } },
        body: { metadata: { price: 75 } },
      });
      assert.deepEqual(changed.data?.metadata, { price: 75, sizes: ["S"] });
      assert.deepEqual(changed.data?.tags, ["camping"]);
    }),
);

appTest(
  "createParleyClient() sends a request again, with its body, when a busy service says so",
  async ({ app }) => {
    for (const [status, when] of [[429, "0"], [503, new Date().toUTCString()]] as const) {
      const bodies: Promise<string>[] = [];
      const refuse = busy(status, { "retry-after": when });
      const first = (request: Request) => {
        bodies.push(request.clone().text());
        return bodies.length < 3 ? refuse() : undefined;
      };
      await listening(app, async (url) => {
        const texts = ["where is my parcel"];
        const { error } = await createParleyClient({ url }).POST("/intents/classify", { body: { texts } });
        assert.equal(error?.code, "unavailable", "the app has no model");
        assert.deepEqual(await Promise.all(bodies), Array(3).fill(JSON.stringify({ texts })));
      }, first);
    }
  },
);

appTest(
  "createParleyClient() gives up after its retries, if no time is named, and if that is too long",
  async ({ app }) => {
    const cases = [
      ["after two retries", busy(429, { "retry-after": "0" }), {}, 3],
      ["after none", busy(429, { "retry-after": "0" }), { retries: 0 }, 1],
      ["without a time", busy(503, {}), {}, 1],
      ["with a time that cannot be read", busy(503, { "retry-after": "soon" }), {}, 1],
      ["after too long a time", busy(503, { "retry-after": "31" }), {}, 1],
      ["for another status", busy(500, { "retry-after": "0" }), {}, 1],
    ] as const;
    for (const [what, refuse, options, sent] of cases) {
      let count = 0;
      await listening(app, async (url) => {
        const { response } = await createParleyClient({ url, ...options }).GET("/healthz");
        await response.body?.cancel();
        assert.deepEqual([response.status, count], [refuse().status, sent], what);
      }, () => {
        count++;
        return refuse();
      });
    }
  },
);

appTest("createParleyClient() stops waiting when it is aborted", ({ app }) =>
  listening(app, async (url) => {
    const reason = new Error("the page was left");
    const aborting = new AbortController();
    const send = async (request: Request) => {
      const response = await fetch(request);
      setTimeout(() => aborting.abort(reason));
      return response;
    };
    const parley = createParleyClient({ url, fetch: send });
    await assert.rejects(parley.GET("/healthz", { signal: aborting.signal }), reason);
  }, busy(503, { "retry-after": "20" })));

Deno.test("clients/typescript/schema.d.ts is what `deno task client` writes, and the client uses no any", async () => {
  const options = { args: ["task", "client", "--check"], cwd: ROOT };
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), options).output();
  const decoder = new TextDecoder();
  assert.equal(code, 0, decoder.decode(stdout) + decoder.decode(stderr));
  for (const file of ["mod.ts", "schema.d.ts"]) {
    const code = Deno.readTextFileSync(new URL(`clients/typescript/${file}`, ROOT)).replace(
      /\/\*[^]*?\*\//g,
      "",
    );
    assert.doesNotMatch(code, /\bany\b/, file);
  }
});

Deno.test("clients/typescript/package.json names the version of openapi-fetch that is tested", () => {
  const read = (file: string) => JSON.parse(Deno.readTextFileSync(new URL(file, ROOT)));
  const [own, client] = [read("deno.json"), read("clients/typescript/package.json")];
  assert.equal(`npm:openapi-fetch@${client.dependencies["openapi-fetch"]}`, own.imports["openapi-fetch"]);
});
