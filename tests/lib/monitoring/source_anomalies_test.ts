import assert from "node:assert/strict";
import { iso } from "../../../lib/core/clock.ts";
import { sourceAnomalies } from "../../../lib/monitoring/source_anomalies.ts";
import type { TaskOutput } from "../../../lib/stores/runs/port.ts";

const PATH = { kind: "messages", path: "/chats" } as const;
const DAG = { id: "nightly", tasks: [{ id: "read", role: "ingest" }] };

/** What `ingest` left: of a run created at one minute, it ended at another. */
function outputAt(created: number, ended: number, failed: boolean, error = "is gone"): TaskOutput {
  const [created_at, ended_at] = [iso(created * 60_000), iso(ended * 60_000)];
  const output = { sources: [], given: [PATH], failed: failed ? [{ ...PATH, error }] : [] };
  return { run_id: `r${created}`, created_at, ended_at, state: "success", output };
}

for (
  const [what, failed, open] of [
    ["clears a source that a retry of an older run has read since", false, []],
    ["reports a source that only a retry of an older run has found unreadable", true, ["source_unreadable"]],
  ] as const
) {
  Deno.test(`sourceAnomalies() ${what}`, async () => {
    // Newest run first, as the store lists them.
    const newestFirst = [outputAt(2, 3, !failed), outputAt(1, 9, failed)];
    const found = await sourceAnomalies(
      { outputs: () => Promise.resolve(newestFirst) },
      DAG,
      iso(0),
    );
    assert.deepEqual(found.open.map(({ code }) => code), open);
  });
}

Deno.test("sourceAnomalies() begins another incident if a source cannot be read for another reason", async () => {
  const newestFirst = [outputAt(3, 3, true, "holds no file"), outputAt(2, 2, true), outputAt(1, 1, true)];
  const { open, past } = await sourceAnomalies({ outputs: () => Promise.resolve(newestFirst) }, DAG, iso(0));
  assert.deepEqual([open.map(({ since }) => since), past.map(({ since }) => since)], [
    [iso(3 * 60_000)],
    [iso(60_000)],
  ]);
});
