import assert from "node:assert/strict";
import { ParleyError } from "../../lib/core/errors.ts";
import { UserHasher } from "../../lib/privacy/user_hasher.ts";
import type { AuditEntry } from "../../lib/stores/runs/port.ts";
import { PAGES } from "../../routes/pages/mod.ts";
import { ENDPOINTS } from "../../routes/api/mod.ts";
import { NOW } from "../lib/recommend/world.ts";
import { appTest, type Opened } from "./app.ts";
import { addFailedRun, DAG, pageTest, send, tokenOf } from "./pages.ts";

const WRITE = "a-write-key-of-32-characters-xxx";
const ADMIN = "an-admin-key-of-32-characters-xx";
const runnable = new Map([[DAG.id, DAG]]);
const options = () => ({
  runnable,
  keys: [{ key: WRITE, scopes: ["write" as const] }, { key: ADMIN, scopes: ["admin" as const] }],
});

function call(
  { app }: Opened,
  method: string,
  path: string,
  { key = ADMIN, body }: { key?: string; body?: unknown } = {},
) {
  const headers = {
    authorization: `Bearer ${key}`,
    "content-type": "application/json",
    "x-request-id": "r-1",
  };
  return app.request(path, { method, headers, ...body !== undefined && { body: JSON.stringify(body) } });
}

async function entriesOf({ world }: Opened): Promise<AuditEntry[]> {
  return (await world.stores.runs.auditEntries({ limit: 99 })).reverse().map(({ seq: _, ...entry }) => entry);
}

appTest(
  "a write is in the audit log with the key's fingerprint, counts and ids of campaigns",
  async (opened) => {
    const campaigns = [{ campaign_id: "new", title: "A new one" }, { campaign_id: "bad" }];
    assert.equal((await call(opened, "POST", "/campaigns", { key: WRITE, body: campaigns })).status, 200);
    const said = { user_id: "ann", message: "a secret garden", timestamp: "2025-03-01T00:00:00Z" };
    assert.equal((await call(opened, "POST", "/messages", { key: WRITE, body: said })).status, 200);
    const [first, second, ...rest] = await entriesOf(opened);
    const { by, ...entry } = first!;
    assert.match(by, /^key [0-9a-f]{8}$/);
    assert.deepEqual(entry, {
      at: new Date(NOW).toISOString(),
      request_id: "r-1",
      method: "POST",
      route: "/campaigns",
      status: 200,
      user_hash: null,
      facts: { inserted: 1, changed: 0, same: 0, rejected: 1, campaign_ids: ["new"] },
    });
    assert.deepEqual(second!.facts, { inserted: 1, changed: 0, same: 0, rejected: 0 });
    assert.deepEqual(rest, []);
    assert.doesNotMatch(JSON.stringify([first, second]), /ann|secret|a-write-key/);
  },
  { options },
);

appTest("an action on a user has the hash that tombstones have, and no id", async (opened) => {
  const { analytics } = opened.world.stores;
  await call(opened, "PUT", "/users/ann/preferences", { body: { personalisation: false } });
  await call(opened, "DELETE", "/users/ann");
  await call(opened, "GET", "/users/bob");
  const hasher = await UserHasher.open({ analytics });
  const entries = await entriesOf(opened);
  assert.deepEqual(
    entries.map(({ method, route, user_hash }) => [method, route, user_hash]),
    [
      ["PUT", "/users/:user_id/preferences", hasher.hash("ann")],
      ["DELETE", "/users/:user_id", hasher.hash("ann")],
      ["GET", "/users/:user_id", hasher.hash("bob")],
    ],
  );
  assert.deepEqual(entries[0]!.facts, { personalisation: false });
  assert.doesNotMatch(JSON.stringify(entries.map(({ facts }) => facts)), /ann|bob/);
}, { options });

appTest(
  "requests that fail are recorded with their status; those that are not let in, and reads, are not",
  async (opened) => {
    assert.equal((await call(opened, "POST", "/pipeline/runs/none/cancel", { body: {} })).status, 404);
    assert.equal((await call(opened, "POST", "/campaigns", { body: "x" })).status, 400);
    assert.equal((await call(opened, "DELETE", "/users/ann", { key: WRITE })).status, 403);
    assert.equal(
      (await call(opened, "DELETE", "/users/ann", { key: "of no service, 32 characters xxx" })).status,
      401,
    );
    assert.equal((await call(opened, "GET", "/recommendations/ann", { key: WRITE })).status, 200);
    assert.deepEqual((await entriesOf(opened)).map(({ route, status }) => [route, status]), [
      ["/pipeline/runs/:run_id/cancel", 404],
      ["/campaigns", 400],
    ]);
  },
  { options },
);

appTest("GET /audit lists entries page by page, for admin alone, and is recorded itself", async (opened) => {
  for (const id of ["r1", "r2", "r3"]) {
    await addFailedRun(opened.world.stores.runs, id, NOW);
    await call(opened, "POST", `/pipeline/runs/${id}/retry`, { body: {} });
  }
  assert.equal((await call(opened, "GET", "/audit", { key: WRITE })).status, 403);
  const first = await (await call(opened, "GET", "/audit?limit=2")).json();
  assert.deepEqual(first.entries.map(({ facts }: AuditEntry) => facts.run_id), ["r3", "r2"]);
  const second = await (await call(opened, "GET", `/audit?limit=2&cursor=${first.next}`)).json();
  assert.deepEqual(second.entries.map(({ facts }: AuditEntry) => facts), [{
    run_id: "r1",
    tasks: ["first", "second"],
  }]);
  assert.equal(second.next, null);
  assert.equal((await call(opened, "GET", "/audit?cursor=x")).status, 400);
  assert.deepEqual((await entriesOf(opened)).slice(3).map(({ route, status }) => [route, status]), [
    ["/audit", 200],
    ["/audit", 200],
    ["/audit", 400],
  ]);
}, { options });

appTest("a write whose entry cannot be stored is answered 503, and may be repeated", async (opened) => {
  const { runs } = opened.world.stores;
  const add = runs.addAuditEntry;
  runs.addAuditEntry = () => Promise.reject(new ParleyError("unavailable", "down"));
  const body = { campaign_id: "new", title: "A new one" };
  const refused = await call(opened, "POST", "/campaigns", { key: WRITE, body });
  assert.equal(refused.status, 503);
  assert.match((await refused.json()).detail, /audit log.*send it again/);
  assert.match(opened.log.at(-1)!.error ?? "", /down/);
  runs.addAuditEntry = add;
  const repeated = await (await call(opened, "POST", "/campaigns", { key: WRITE, body })).json();
  assert.equal(repeated.same, 1);
  assert.equal((await entriesOf(opened)).length, 1);
}, { options });

pageTest("forms of pages are in the audit log", async (opened) => {
  const { app, world } = opened;
  const path = `/pipelines/${DAG.id}`;
  const csrf = await tokenOf(app, path);
  await send(app, `${path}/run`, { csrf });
  const [run] = await world.stores.runs.runs({ limit: 1 });
  await send(app, `/runs/${run!.run_id}/cancel`, { csrf });
  await send(app, `${path}/pause`, { csrf, paused: "true" });
  await send(app, `${path}/pause`, { csrf: "old", paused: "true" });
  const entries = await entriesOf(opened);
  assert.deepEqual(entries.map(({ by, route, status, facts }) => [by, route, status, facts]), [
    ["open", "/pipelines/:dag_id/run", 303, { dag_id: DAG.id, run_id: run!.run_id }],
    ["open", "/runs/:run_id/cancel", 303, { run_id: run!.run_id }],
    ["open", "/pipelines/:dag_id/pause", 303, { dag_id: DAG.id, paused: true }],
  ]);
});

pageTest("a form of a session is recorded with the fingerprint of its key", async (opened) => {
  const { app } = opened;
  const cookie = (await send(app, "/login", { key: ADMIN, to: "/" })).headers.get("set-cookie")!.split(
    ";",
  )[0]!;
  const path = `/pipelines/${DAG.id}`;
  const csrf = await tokenOf(app, path, { cookie });
  await send(app, `${path}/pause`, { csrf, paused: "true" }, { cookie });
  await call(opened, "POST", "/pipeline/runs/none/cancel", { body: {} });
  const [form, request] = await entriesOf(opened);
  assert.match(form!.by, /^session [0-9a-f]{8}$/);
  assert.equal(request!.by, form!.by.replace("session", "key"));
}, { keys: options().keys });

Deno.test("each endpoint that changes data needs write or admin, and each form of a page admin, so that it is audited", () => {
  const changing = ENDPOINTS.filter(({ method, scope }) => method !== "GET" && scope === "read");
  // These answer a question that is too long for an address.
  assert.deepEqual(changing.map(({ route }) => route).sort(), [
    "/intents/classify",
    "/recommendations",
    "/recommendations/:id/next",
  ]);
  const forms = PAGES.filter(({ method, scope }) => method === "POST" && scope !== "admin");
  // The playground answers, as /recommendations does, and stores nothing.
  assert.deepEqual(forms.map(({ path }) => path).sort(), ["/login", "/logout", "/playground"]);
});
