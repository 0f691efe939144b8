import assert from "node:assert/strict";
import { ExportFolder } from "../../lib/exports/export_folder.ts";
import { FileArtifacts } from "../../lib/stores/artifacts/files/file_artifacts.ts";
import { erase } from "../../tasks/erase.ts";
import { minute } from "../fixtures/rows.ts";
import { message } from "../fixtures/rows.ts";
import type { Dag } from "../../lib/dag/define.ts";
import { appTest, type Opened } from "./app.ts";

const ADMIN = "an-admin-key-of-32-characters-xx";
const WRITE = "a-write-key-of-32-characters-xxx";
const dag = erase() as unknown as Dag<never>;

const dir = Deno.makeTempDirSync();
const options = () => ({
  keys: [{ key: ADMIN, scopes: ["admin" as const] }, { key: WRITE, scopes: ["write" as const] }],
  files: () => Promise.resolve({ artifacts: new FileArtifacts({ dir }), exports: new ExportFolder(dir) }),
  erase: dag,
});
Deno.test.afterAll(() => Deno.remove(dir, { recursive: true }));

function call(
  { app }: Opened,
  method: string,
  path: string,
  { key = ADMIN, body }: { key?: string; body?: unknown } = {},
) {
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
  return app.request(path, { method, headers, ...body !== undefined && { body: JSON.stringify(body) } });
}

async function linesOf(response: Response | Promise<Response>): Promise<Record<string, unknown>[]> {
  return (await (await response).text()).trimEnd().split("\n").map((line) => JSON.parse(line));
}

appTest("users' rights need the scope admin", async (opened) => {
  for (
    const [method, path] of [["GET", "/users/ann"], ["DELETE", "/users/ann"], [
      "PUT",
      "/users/ann/preferences",
    ]]
  ) {
    const { status } = await call(opened, method!, path!, {
      key: WRITE,
      body: method === "PUT" ? {} : undefined,
    });
    assert.equal(status, 403, path);
  }
}, { options });

appTest("GET /users/:user_id gives each stored row with its store, then their number", async (opened) => {
  const { documents } = opened.world.stores;
  const row = message({ user_id: "ann" });
  await documents.upsert({ messages: [row, message({ user_id: "bob" })] });
  const refused = {
    run_id: "r",
    kind: "messages" as const,
    source: "s",
    position: 1,
    reason: "bad",
    at: minute(1),
  };
  await documents.quarantine({ rows: [{ ...refused, raw: `{"from":"ann"` }] });
  const response = await call(opened, "GET", "/users/ann");
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "application/x-ndjson");
  const lines = await linesOf(response);
  assert.deepEqual(lines[0], { store: "documents", kind: "message", row });
  const kinds = lines.slice(0, -1).map(({ store, kind }) => `${store} ${kind}`);
  assert.ok(kinds.includes("documents refused_row") && kinds.includes("analytics preferences"));
  assert.deepEqual(lines.at(-1), { end: lines.length - 1 });
  assert.ok(!JSON.stringify(opened.log).includes("ann"));
}, { options });

appTest("DELETE /users/:user_id erases at once, queues one run, and may be repeated", async (opened) => {
  const { documents, runs } = opened.world.stores;
  await documents.upsert({ messages: [message({ user_id: "ann" }), message({ user_id: "bob" })] });
  const response = await call(opened, "DELETE", "/users/ann");
  assert.equal(response.status, 202);
  const { erased, run_id } = await response.json();
  assert.equal(erased.messages, 1);
  const again = await (await call(opened, "DELETE", "/users/ann")).json();
  assert.deepEqual(again, {
    erased: { messages: 0, quarantined: 0, events: 0, vectors: 0, edges: 0 },
    run_id,
  });
  assert.deepEqual((await runs.runs({ limit: 9 })).map(({ dag_id, params }) => ({ dag_id, params })), [
    { dag_id: "erase", params: {} },
  ]);
  const lines = await linesOf(call(opened, "GET", "/users/ann"));
  assert.deepEqual(lines, [
    { store: "analytics", kind: "preferences", row: { personalisation: true } },
    { end: 1 },
  ]);
  assert.equal(
    (await call(opened, "PUT", "/users/ann/preferences", { body: { personalisation: false } })).status,
    409,
  );
}, { options });

appTest("PUT /users/:user_id/preferences refuses other bodies, and is in the user's data", async (opened) => {
  for (const body of [{}, { personalisation: "no" }, { personalisation: true, more: 1 }, [], 1]) {
    assert.equal(
      (await call(opened, "PUT", "/users/ann/preferences", { body })).status,
      400,
      JSON.stringify(body),
    );
  }
  for (const personalisation of [false, true, false]) {
    const response = await call(opened, "PUT", "/users/ann/preferences", { body: { personalisation } });
    assert.deepEqual([response.status, await response.json()], [200, { personalisation }]);
    const [preferences] = await linesOf(call(opened, "GET", "/users/ann"));
    assert.deepEqual(preferences!.row, { personalisation });
  }
}, { options });
