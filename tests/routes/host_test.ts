import assert from "node:assert/strict";
import type { Hono } from "../../deps.ts";
import { pageTest } from "./pages.ts";

const KEYS = { keys: [{ key: "reader-key-of-16", scopes: ["read"] }] } as const;

/** One request for every route there is, pages and streams and assets too, and for one that is not. */
function routesOf(app: Hono): [string, string][] {
  const routes = app.routes.map(({ path, method }): [string, string] => [path.replace(/:\w+/g, "x"), method]);
  assert.ok(routes.length > 25, "the app lists its routes");
  return [...routes, ["/nowhere", "GET"], ["/healthz", "HEAD"], ["/healthz", "OPTIONS"]];
}

async function answers(app: Hono, host: string): Promise<Set<string>> {
  const found = new Set<string>();
  for (const [path, method] of routesOf(app)) {
    const response = await app.request(path, { method, headers: { host } });
    const { code } = method === "HEAD" ? { code: "" } : JSON.parse(await response.text() || "{}");
    found.add(`${response.status} ${method === "HEAD" ? "" : code}`.trim());
  }
  return found;
}

for (const host of ["evil.example", "localhost.evil.example:8000", "127.0.0.1.evil.example", "10.0.0.1"]) {
  pageTest(`without keys every route refuses the host ${host}`, async ({ app }) => {
    assert.deepEqual(await answers(app, host), new Set(["403 denied", "403"]));
  });
}

const MALFORMED = [
  "",
  "a b",
  "@",
  "me@localhost",
  "localhost:port",
  "localhost:99999",
  "[::1",
  "localhost/x?",
  "%",
];
for (const [what, options] of [["without keys", {}], ["with keys", KEYS]] as const) {
  for (const host of MALFORMED) {
    pageTest(
      `${what} every route answers the malformed host ${JSON.stringify(host)} with 400`,
      async ({ app }) => {
        assert.deepEqual(await answers(app, host), new Set(["400 invalid", "400"]));
      },
      options,
    );
  }
}

pageTest("a foreign name in the URL itself is refused as well", async ({ app }) => {
  const ask = async (url: string, host: string) => (await app.request(url, { headers: { host } })).status;
  assert.equal(await ask("http://localhost/healthz", "localhost"), 200);
  assert.equal(await ask("http://evil.example/healthz", "localhost"), 403);
  assert.equal(await ask("http://localhost/healthz", "evil.example"), 403);
  assert.equal(await ask("http://localhost/healthz", "[::1]:8000"), 200);
});

pageTest("with keys any host is answered to", async ({ app }) => {
  const headers = { host: "parley.example" };
  assert.equal((await app.request("/healthz", { headers })).status, 200);
}, KEYS);
