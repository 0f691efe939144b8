import assert from "node:assert/strict";
import { appTest } from "./app.ts";

const SHOP = "https://shop.example";
const PATH = "/recommendations/ann";
const headersOf = (response: Response) =>
  Object.fromEntries(
    [...response.headers].filter(([name]) => name.startsWith("access-control-") || name === "vary"),
  );
const asked = (origin: string, method = "GET") => ({
  method: "OPTIONS",
  headers: {
    origin,
    "access-control-request-method": method,
    "access-control-request-headers": "authorization",
  },
});
const withShop = {
  options: () => ({
    cors_origins: [SHOP],
    keys: [{ key: "a-key-of-sixteen-characters", scopes: ["read" as const] }],
  }),
};

appTest("a browser may ask from a site in cors_origins, and read answers and errors", async ({ app }) => {
  const preflight = await app.request(PATH, asked(SHOP));
  assert.equal(preflight.status, 204);
  assert.equal(preflight.headers.get("access-control-allow-origin"), SHOP);
  assert.match(preflight.headers.get("access-control-allow-headers") ?? "", /Authorization/);
  assert.equal(preflight.headers.get("access-control-max-age"), "600");
  const authorization = "Bearer a-key-of-sixteen-characters";
  const answer = await app.request(PATH, { headers: { origin: SHOP, authorization } });
  const problem = await app.request(PATH, { headers: { origin: SHOP } });
  const post = await app.request("/intents/classify", {
    method: "POST",
    headers: { origin: SHOP, authorization },
  });
  assert.deepEqual([answer.status, problem.status, post.status], [200, 401, 415]);
  for (const response of [answer, problem, post]) {
    assert.equal(response.headers.get("access-control-allow-origin"), SHOP);
    assert.match(response.headers.get("access-control-expose-headers") ?? "", /Retry-After.*X-Request-Id/);
    assert.match(response.headers.get("vary") ?? "", /Origin/i);
    assert.equal(response.headers.get("access-control-allow-credentials"), null);
  }
  assert.equal(answer.headers.get("x-cache"), "miss");
  assert.equal(problem.headers.get("content-type"), "application/problem+json");
}, withShop);

appTest("another site gets no permission, and a wrong method stays a 405", async ({ app }) => {
  const other = await app.request(PATH, asked("https://other.example"));
  assert.equal(other.headers.get("access-control-allow-origin"), null);
  const deleted = await app.request("/healthz", { method: "DELETE", headers: { origin: SHOP } });
  assert.deepEqual([deleted.status, deleted.headers.get("allow")], [405, "GET, HEAD"]);
  assert.equal((await app.request("/nowhere", asked(SHOP))).status, 404);
}, withShop);

appTest("without cors_origins no response says anything to other sites", async ({ app }) => {
  const preflight = await app.request(PATH, asked(SHOP));
  assert.equal(preflight.status, 405);
  const answer = await app.request(PATH, { headers: { origin: SHOP } });
  assert.deepEqual([answer.status, headersOf(preflight), headersOf(answer)], [200, {}, {}]);
});

appTest("with * in cors_origins any site may ask", async ({ app }) => {
  const answer = await app.request(PATH, { headers: { origin: SHOP } });
  assert.equal(answer.headers.get("access-control-allow-origin"), "*");
}, { options: () => ({ cors_origins: ["*"] }) });
