import assert from "node:assert/strict";
import type { Hono } from "../../deps.ts";
import { fails, faulty } from "../lib/recommend/world.ts";
import { appTest } from "./app.ts";

const PATH = "/recommendations/ann";
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

appTest(
  "an answer and its log entry have one request id, which is created if the request has none",
  async ({ app, log }) => {
    const response = await app.request(PATH);
    const id = response.headers.get("x-request-id") ?? "";
    assert.match(id, UUID);
    assert.equal(log[0]?.request_id, id);
  },
);

appTest("a caller's request id is kept, and names the problem", async ({ app, log }) => {
  const headers = { "x-request-id": "edge-7.42:a" };
  const response = await app.request(`${PATH}?k=0`, { headers });
  assert.equal(response.headers.get("x-request-id"), "edge-7.42:a");
  assert.equal((await response.json()).instance, "urn:x-request-id:edge-7.42:a");
  assert.equal(log[0]?.request_id, "edge-7.42:a");
});

for (const [what, given] of [["long", "x".repeat(129)], ["strange", 'a"b{c}'], ["empty", ""]] as const) {
  appTest(`a request id that is ${what} gives way to a new one`, async ({ app }) => {
    const response = await app.request("/nowhere", { headers: { "x-request-id": given } });
    const id = response.headers.get("x-request-id") ?? "";
    assert.match(id, UUID);
    assert.equal((await response.json()).instance, `urn:uuid:${id}`);
  });
}

appTest("a log entry has the result of the cache", async ({ app, log }) => {
  await app.request(PATH);
  await app.request(PATH);
  await app.request("/healthz");
  assert.deepEqual(log.map(({ cache }) => cache), ["miss", "hit", undefined]);
});

/** Is in ids, query and header of every request below; none of it may be written down. */
const MARKER = "marker-9f1c";

/** Every endpoint there is, with the marker for each part of its path, and requests that are refused. */
function requestsOf(app: Hono): [string, string][] {
  const marked = (path: string) => path.replace(/:\w+(\{[^}]*\})?/g, MARKER).replaceAll("*", MARKER);
  return [
    ...app.routes.map(({ path, method }): [string, string] => [marked(path), method]),
    [`/recommendations/${MARKER}?k=2`, "HEAD"],
    [`/recommendations/${MARKER}?k=${MARKER}`, "GET"],
    [`/recommendations/${MARKER}?${MARKER}=1`, "GET"],
    [`/recommendations/${MARKER}%00`, "GET"],
    [`/recommendations/${MARKER}`, "POST"],
    [`/${MARKER}/${MARKER}`, "DELETE"],
    [`/metrics?${MARKER}`, "GET"],
  ];
}

for (const down of [false, true]) {
  appTest(
    `log and metrics never name a user or quote a request${down ? ", while stores fail" : ""}`,
    async ({ app, log }) => {
      const requests = requestsOf(app);
      assert.ok(requests.length >= 12, "the app lists its routes");
      for (const [path, method] of requests) {
        const body = method === "POST" ? { body: `{"message":"${MARKER}"}` } : {};
        const headers = { "user-agent": MARKER, cookie: MARKER };
        await (await app.request(path, { method, ...body, headers })).body?.cancel();
      }
      assert.equal(log.length, requests.length);
      assert.doesNotMatch(JSON.stringify(log), new RegExp(MARKER));
      assert.doesNotMatch(await (await app.request("/metrics")).text(), new RegExp(MARKER));
    },
    {
      options: ({ stores }) => ({
        stores: down
          ? { ...stores, graph: faulty(stores.graph, fails), vectors: faulty(stores.vectors, fails) }
          : stores,
      }),
    },
  );
}
