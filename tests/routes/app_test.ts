import assert from "node:assert/strict";
import { appTest } from "./app.ts";

appTest("GET / lists the endpoints", async ({ app }) => {
  const body = await (await app.request("/")).json();
  assert.equal(body.name, "Parley");
  for (const path of [body.links.health, body.links.readiness]) {
    assert.equal((await app.request(path)).status, 200);
  }
});

appTest("createApp() answers 404 with a problem that does not quote the path", async ({ app }) => {
  const response = await app.request("/secret-user");
  assert.equal(response.status, 404);
  assert.equal(response.headers.get("content-type"), "application/problem+json");
  const text = await response.text();
  assert.doesNotMatch(text, /secret-user/);
  const { type, title, status, code, instance } = JSON.parse(text);
  assert.deepEqual([type, title, status, code], ["about:blank", "Not Found", 404, "not_found"]);
  assert.match(instance, /^urn:uuid:[0-9a-f-]{36}$/);
});

for (const method of ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"]) {
  appTest(`createApp() answers ${method} on a GET path with 405 and Allow`, async ({ app }) => {
    const response = await app.request("/recommendations/ann", { method });
    assert.equal(response.status, 405);
    assert.equal(response.headers.get("allow"), "GET, HEAD");
    assert.match((await response.json()).detail, new RegExp(`^${method} is not possible here`));
  });
}

appTest(
  "createApp() logs one entry per request, with the pattern and never the path",
  async ({ app, log }) => {
    await app.request("/recommendations/ann?k=2");
    await app.request("/recommendations/ann?k=x");
    await app.request("/nowhere/ann");
    assert.deepEqual(log.map(({ method, route, status }) => [method, route, status]), [
      ["GET", "/recommendations/:user_id", 200],
      ["GET", "/recommendations/:user_id", 400],
      ["GET", "*", 404],
    ]);
    assert.ok(log.every((entry) => entry.ms >= 0));
    assert.doesNotMatch(JSON.stringify(log), /ann/);
  },
);
