import assert from "node:assert/strict";
import { loadConfig } from "../../lib/config.ts";
import { openRuns } from "../../lib/stores/open.ts";
import type { AuditEntry } from "../../lib/stores/runs/port.ts";
import { run, withFolder } from "../fixtures/commands.ts";

const ENTRY: AuditEntry = {
  at: "2026-05-01T00:00:00.000Z",
  request_id: "r-1",
  by: "key 0123abcd",
  method: "DELETE",
  route: "/users/:user_id",
  status: 202,
  user_hash: "k.0f",
  facts: { messages: 3, tasks: ["a", "b"] },
};

Deno.test("audit prints the newest entries, the newest last, as a table or as JSON", () =>
  withFolder(async (folder) => {
    const runs = await openRuns(loadConfig({ PARLEY_DATA: `${folder}/.parley` }).runs);
    const newer = { ...ENTRY, request_id: "r-2", user_hash: null, facts: {} };
    for (const entry of [{ ...ENTRY, request_id: "r-0" }, ENTRY, newer]) await runs.addAuditEntry(entry);
    await runs.close();
    const text = await run(folder, "audit", ["audit", "--limit", "2"]);
    assert.equal(text.code, 0, text.stderr);
    const [head, first, second, ...rest] = text.stdout.trimEnd().split("\n").map((line) => line.trimEnd());
    assert.match(head!, /^at +by +request +status +about$/);
    const row = "2026-05-01T00:00:00.000Z  key 0123abcd  DELETE /users/:user_id  202";
    assert.deepEqual([first, second, rest], [`${row}     user=k.0f messages=3 tasks=a,b`, row, []]);
    const json = await run(folder, "audit", ["audit", "--limit", "2", "--json"]);
    assert.deepEqual(JSON.parse(json.stdout), [ENTRY, newer]);
    assert.equal((await run(folder, "audit", ["audit", "--limit", "0"])).code, 2);
  }));
