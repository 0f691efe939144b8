import assert from "node:assert/strict";
import { loadHono } from "../../deps.ts";
import { type ApiKey, type Scope, SCOPES } from "../../lib/core/types.ts";
import { createAuthorize } from "../../routes/http/auth.ts";
import { HttpError } from "../../routes/http/problem.ts";
import { appTest } from "./app.ts";

const KEYS: readonly ApiKey[] = [
  { key: "reader-key", scopes: ["read"] },
  { key: "writer-key", scopes: ["write"] },
];
const options = () => ({ keys: KEYS });
const PATH = "/recommendations/ann";
const bearer = (key: string) => ({ headers: { authorization: `Bearer ${key}` } });

appTest("an app without keys is open", async ({ app }) => {
  assert.equal((await app.request(PATH)).status, 200);
});

appTest("an app with keys lets a key with the scope in", async ({ app }) => {
  assert.equal((await app.request(PATH, bearer("reader-key"))).status, 200);
  assert.equal((await app.request(PATH, { headers: { authorization: "bearer reader-key" } })).status, 200);
}, { options });

for (
  const [what, headers] of [
    ["no key", {}],
    ["an unknown key", { authorization: "Bearer reader-kez" }],
    ["a shorter key", { authorization: "Bearer reader" }],
    ["an empty key", { authorization: "Bearer " }],
    ["another scheme", { authorization: "Basic reader-key" }],
  ] as const
) {
  appTest(`an app with keys answers ${what} with 401`, async ({ app, log }) => {
    const response = await app.request(PATH, { headers });
    assert.equal(response.status, 401);
    assert.equal(response.headers.get("www-authenticate"), 'Bearer realm="parley"');
    assert.equal((await response.json()).code, "denied");
    assert.doesNotMatch(JSON.stringify(log), /reader/);
  }, { options });
}

appTest("an app with keys lets a key in whose scope includes the one that is needed", async ({ app }) => {
  assert.equal((await app.request(PATH, bearer("writer-key"))).status, 200);
}, { options });

Deno.test("createAuthorize() answers a key without the scope with 403", async () => {
  const authorize = createAuthorize(KEYS);
  const { Hono } = await loadHono();
  const app = new Hono().get("/:scope", (context) => {
    authorize(context, context.req.param("scope") as Scope);
    return context.text("in");
  }).onError((error) =>
    new Response(error.message, { status: error instanceof HttpError ? error.status : 500 })
  );
  const ask = async (scope: Scope, key: string) => await app.request(`/${scope}`, bearer(key));
  assert.deepEqual(
    await Promise.all(SCOPES.map(async (scope) => (await ask(scope, "writer-key")).status)),
    [200, 200, 403],
  );
  assert.equal(await (await ask("admin", "writer-key")).text(), "this API key lacks the scope admin");
});

appTest("an app with keys leaves health open", async ({ app }) => {
  for (const path of ["/", "/healthz", "/readyz"]) assert.equal((await app.request(path)).status, 200);
}, { options });
