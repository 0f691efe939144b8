import assert from "node:assert/strict";
import { newTask } from "../../lib/dag/state.ts";
import type { RecordedText } from "../../lib/stores/runs/port.ts";
import { endOf, runOf, startOf, T0, useOf } from "../fixtures/runs.ts";
import { claim, type OpenRuns, storeTest } from "./runs.ts";

/** The part of the runs contract that is about texts that name users. */
export function runsTextsContract(name: string, open: () => Promise<OpenRuns>): void {
  const test = storeTest(name, open);

  test("findTexts() and replaceTexts() reach every text of a run's records", async ({ runs }) => {
    const who = "zoë%_1";
    await runs.create({ run: runOf("r1", { params: { user: who, n: 1 } }), tasks: [newTask("a")] });
    await runs.create({ run: runOf("r2", { params: { user: "zoë" } }), tasks: [newTask("a")] });
    await claim(runs, "p", { run_id: "r1" });
    const start = startOf("a", { owner: "p" });
    await runs.commit({ run_id: "r1", owner: "p", now: T0, changes: { starts: [start] } });
    await runs.saveCheckpoint({ run_id: "r1", task_id: "a", attempt: 1, owner: "p", value: [who, 2] });
    await runs.appendLogs({
      run_id: "r1",
      lines: [`of ${who}`, "of others"].map((line) => ({ task_id: "a", attempt: 1, at: "t", line })),
    });
    const task = {
      ...start.task,
      state: "failed" as const,
      output: { [who]: [who] },
      error: `no ${who}`,
      branch: [who],
    };
    const lineage = [useOf(`in/${who}`), useOf("other")];
    const ended = [endOf(start, { state: "failed", error: `why ${who}`, versions: { code: who }, lineage })];
    const run = { state: "failed" as const, started_at: null, ended_at: "t", error: `all ${who}` };
    await runs.commit({ run_id: "r1", owner: "p", now: T0, changes: { run, tasks: [task], ended } });
    await runs.addAuditEntry({
      at: "t",
      request_id: `of ${who}`,
      by: "open",
      method: "POST",
      route: "/messages",
      status: 200,
      user_hash: null,
      facts: { by_mistake: who },
    });
    const found = await Array.fromAsync(runs.findTexts({ contain: [who] }));
    const columns = found.map(({ table, column }) => `${table}.${column}`).sort();
    assert.deepEqual(columns, [
      "audit_log.facts",
      "audit_log.request_id",
      "pipeline_attempts.error",
      "pipeline_attempts.versions",
      "pipeline_lineage.name",
      "pipeline_logs.line",
      "pipeline_runs.error",
      "pipeline_runs.params",
      "pipeline_tasks.branch",
      "pipeline_tasks.checkpoint",
      "pipeline_tasks.error",
      "pipeline_tasks.output",
    ]);
    for (const { run_id, table, json, text } of found) {
      assert.equal(run_id, table === "audit_log" ? "" : "r1");
      assert.ok(text.includes(who));
      if (json) JSON.parse(text);
    }
    const replace = ({ text }: RecordedText) => text.replaceAll(who, "[erased]");
    assert.equal(await runs.replaceTexts({ contain: [who], replace }), found.length);
    assert.equal(await runs.replaceTexts({ contain: [who], replace }), 0);
    assert.deepEqual(await Array.fromAsync(runs.findTexts({ contain: [who] })), []);
    const snapshot = (await runs.snapshot({ run_id: "r1" }))!;
    assert.deepEqual(snapshot.run.params, { user: "[erased]", n: 1 });
    assert.deepEqual(snapshot.tasks[0]!.output, { "[erased]": ["[erased]"] });
    assert.deepEqual((await runs.snapshot({ run_id: "r2" }))!.run.params, { user: "zoë" });
    const logs = await runs.logs({ run_id: "r1", after: 0, limit: 9 });
    assert.deepEqual(logs.map(({ line }) => line), ["of [erased]", "of others"]);
    await runs.compact();
    assert.deepEqual(await runs.snapshot({ run_id: "r1" }), snapshot);
  });
}
