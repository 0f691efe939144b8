import assert from "node:assert/strict";
import type { ApiKey } from "../../lib/core/types.ts";
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

appTest("an app with keys answers a key without the scope with 403", async ({ app }) => {
  const response = await app.request(PATH, bearer("writer-key"));
  assert.equal(response.status, 403);
  assert.equal((await response.json()).detail, "this API key lacks the scope read");
}, { options });

appTest("an app with keys leaves health open", async ({ app }) => {
  for (const path of ["/", "/healthz", "/readyz"]) assert.equal((await app.request(path)).status, 200);
}, { options });
