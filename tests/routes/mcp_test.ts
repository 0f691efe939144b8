import assert from "node:assert/strict";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { iso } from "../../lib/core/clock.ts";
import { newTask } from "../../lib/dag/state.ts";
import type { RunSnapshot } from "../../lib/stores/runs/port.ts";
import { runOf } from "../fixtures/runs.ts";
import { NOW } from "../lib/recommend/world.ts";
import { message } from "../fixtures/rows.ts";
import { appTest, type Opened } from "./app.ts";
import { addFailedRun, DAG } from "./pages.ts";

const READ = "a-read-key-of-32-characters-xxxx";
const ADMIN = "an-admin-key-of-32-characters-xx";
const options = () => ({
  dags: [DAG],
  keys: [{ key: READ, scopes: ["read" as const] }, { key: ADMIN, scopes: ["admin" as const] }],
});

/** Calls tools as an MCP client does, over HTTP. */
async function withClient(
  { app }: Opened,
  body: (
    call: (name: string, input?: Record<string, unknown>) => Promise<Called>,
    client: Client,
  ) => Promise<void>,
  key = READ,
): Promise<void> {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, app.fetch);
  const client = new Client({ name: "test", version: "1" });
  try {
    const url = new URL(`http://127.0.0.1:${server.addr.port}/mcp`);
    const requestInit = { headers: { authorization: `Bearer ${key}` } };
    await client.connect(new StreamableHTTPClientTransport(url, { requestInit }));
    await body(
      async (name, input = {}) => await client.callTool({ name, arguments: input }) as Called,
      client,
    );
  } finally {
    await client.close();
    await server.shutdown();
  }
}

interface Called {
  readonly isError?: boolean;
  readonly content: readonly { readonly text: string }[];
  // deno-lint-ignore no-explicit-any
  readonly structuredContent: any;
}

appTest("an MCP client finds tools that only read, and calls each", async (opened) => {
  const { runs, documents } = opened.world.stores;
  await addFailedRun(runs, "r1", NOW - 1_000);
  await addFailedRun(runs, "r2", NOW);
  await documents.upsert({ messages: [message({ user_id: "ann", message: "a secret garden" })] });
  for (const key of [READ, ADMIN]) {
    await withClient(opened, async (call, client) => {
      const { tools } = await client.listTools();
      assert.deepEqual(tools.map(({ name }) => name), [
        "overview",
        "runs",
        "why_run_failed",
        "anomalies",
        "explain",
        "campaigns",
        "evaluation",
      ]);
      assert.ok(tools.every(({ annotations, description }) => annotations?.readOnlyHint && description));
      const overview = (await call("overview")).structuredContent;
      assert.equal(overview.anomalies.health.status, "critical");
      assert.ok("status" in overview.stores && overview.summary.dags[0].dag_id === DAG.id);
      const listed = (await call("runs", { state: "failed", limit: 1 })).structuredContent.runs;
      assert.deepEqual(listed.runs.map(({ run_id }: { run_id: string }) => run_id), ["r2"]);
      const failed = await call("why_run_failed", { run_id: "r1" });
      assert.deepEqual(
        [failed.structuredContent.run.error, failed.structuredContent.run.tasks[0].error],
        ["first: no", "no"],
      );
      assert.deepEqual(JSON.parse(failed.content[0]!.text), failed.structuredContent);
      const { anomalies } = (await call("anomalies", { days: 30 })).structuredContent;
      assert.ok(anomalies.open.some(({ code }: { code: string }) => code === "run_failed"));
      const explained = await call("explain", { user_id: "ann", k: 2 });
      const { answer } = explained.structuredContent;
      assert.ok(answer.items.length === 2 && answer.items[0].reasons.length > 0);
      assert.doesNotMatch(JSON.stringify(explained), /secret garden/);
      const { campaigns } = (await call("campaigns", { category: "kitchen" })).structuredContent;
      assert.equal(campaigns.campaigns.length, 3);
      assert.deepEqual((await call("evaluation")).structuredContent, { evaluation: null });
    }, key);
  }
}, { options });

appTest("a tool that cannot answer says why, and a wrong input is refused", async (opened) => {
  await withClient(opened, async (call) => {
    const none = await call("why_run_failed", { run_id: "none" });
    assert.deepEqual([none.isError, none.content[0]!.text], [true, "there is no such run"]);
    assert.equal((await call("why_run_failed", { run_id: 7 })).isError, true);
    for (const user_id of [".", ".."]) {
      assert.equal((await call("explain", { user_id })).isError, true, user_id);
    }
  });
}, { options });

appTest("the last evaluation is the output of the newest run that has one", async (opened) => {
  const { runs } = opened.world.stores;
  for (const [n, run_id] of ["e1", "e2"].entries()) {
    const run = runOf(run_id, { dag_id: "evaluate", created_at: iso(NOW + n) });
    await runs.create({ run, tasks: [newTask("evaluate")] });
  }
  const output = { queries: 7, ndcg_10: { parley: 0.2 } };
  const plan = ({ tasks }: RunSnapshot) => ({ tasks: [{ ...tasks[0]!, state: "success" as const, output }] });
  await runs.revise({ run_id: "e1", now: NOW, plan });
  await withClient(opened, async (call) => {
    const { evaluation } = (await call("evaluation")).structuredContent;
    assert.deepEqual(evaluation, { run_id: "e1", ended_at: null, output });
  });
}, { options });

appTest("/mcp needs a key with read, and takes JSON alone", async ({ app }) => {
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list" });
  const json = { "content-type": "application/json", accept: "application/json, text/event-stream" };
  const authorization = `Bearer ${READ}`;
  const send = (headers: Record<string, string>, method = "POST") =>
    app.request("/mcp", { method, headers, ...method === "POST" && { body } });
  assert.equal((await send(json)).status, 401);
  assert.equal((await send({ ...json, authorization, "content-type": "text/plain" })).status, 415);
  assert.equal((await send({ ...json, authorization })).status, 200);
  for (const method of ["GET", "DELETE"]) {
    assert.equal((await send({ ...json, authorization }, method)).status, 405);
  }
}, { options });
