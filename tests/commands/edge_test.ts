import assert from "node:assert/strict";
import { edgeApi } from "../../commands/edge.ts";

Deno.test("the edge refuses to start without keys, and with stores that would be files", async () => {
  await assert.rejects(edgeApi({ PARLEY_STORES: "postgres://host/parley" }), /set PARLEY_API_KEYS/);
  const env = { PARLEY_API_KEYS: "read:0123456789abcdef", PARLEY_GRAPH: "neo4j://host" };
  await assert.rejects(edgeApi(env), /^ParleyError: documents, vectors, analytics, runs would be files/);
});
