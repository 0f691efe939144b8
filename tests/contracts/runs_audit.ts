import assert from "node:assert/strict";
import { iso } from "../../lib/core/clock.ts";
import type { AuditEntry } from "../../lib/stores/runs/port.ts";
import { T0 } from "../fixtures/runs.ts";
import { type OpenRuns, storeTest } from "./runs.ts";

function entry(request_id: string, rest: Partial<AuditEntry> = {}): AuditEntry {
  const request = { method: "POST", route: "/campaigns", status: 200 };
  return { at: iso(T0), request_id, by: "key 0123abcd", ...request, user_hash: null, facts: {}, ...rest };
}

/** Who wrote or administered what. */
export function runsAuditContract(name: string, open: () => Promise<OpenRuns>): void {
  const test = storeTest(name, open);

  test("auditEntries() returns what any process added, newest first, page by page", async ({ runs, openAnother }) => {
    const all = [
      entry("1", { facts: { inserted: 2, campaign_ids: ["zoë", "g1"], ended: false, until: null } }),
      entry("2", { method: "DELETE", route: "/users/:user_id", status: 503, user_hash: "k.0f" }),
      entry("3", { by: "open", at: iso(T0 - 1) }),
    ];
    for (const each of all.slice(0, 2)) await runs.addAuditEntry(each);
    const other = await openAnother();
    try {
      await other.addAuditEntry(all[2]!);
      const found = await other.auditEntries({ limit: 9 });
      assert.deepEqual(found.map(({ seq: _, ...rest }) => rest), all.toReversed());
      const [first, second] = await runs.auditEntries({ limit: 2 });
      assert.deepEqual([first?.request_id, second?.request_id], ["3", "2"]);
      const rest = await runs.auditEntries({ limit: 2, before: second!.seq });
      assert.deepEqual(rest.map(({ request_id }) => request_id), ["1"]);
      assert.deepEqual(await runs.auditEntries({ limit: 2, before: rest[0]!.seq }), []);
    } finally {
      await other.close();
    }
  });

  test("pruneAuditEntries() removes what is older, and continues the numbers", async ({ runs }) => {
    for (const hours of [0, 1, 2]) {
      await runs.addAuditEntry(entry(`${hours}`, { at: iso(T0 + hours * 3_600_000) }));
    }
    const [newest] = await runs.auditEntries({ limit: 1 });
    assert.equal(await runs.pruneAuditEntries({ before: iso(T0 + 3_600_000) }), 1);
    assert.deepEqual((await runs.auditEntries({ limit: 9 })).map(({ request_id }) => request_id), ["2", "1"]);
    await runs.addAuditEntry(entry("3"));
    const [next] = await runs.auditEntries({ limit: 1 });
    assert.ok(next!.request_id === "3" && next!.seq > newest!.seq);
  });
}
