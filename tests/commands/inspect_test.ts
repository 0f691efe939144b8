import assert from "node:assert/strict";
import { loadConfig } from "../../lib/config.ts";
import { openRuns } from "../../lib/stores/open.ts";
import type { RunStore } from "../../lib/stores/runs/port.ts";
import { command, runHere, until, withFolder } from "../fixtures/commands.ts";
import { runOf } from "../fixtures/runs.ts";

const AT = "2026-05-01T00:00:00.000Z";
const logged = (line: string) => ({ task_id: "ingest", attempt: 1, at: AT, line });
const shown = (...lines: string[]) => lines.map((line) => `${AT} ingest/1 ${line}\n`).join("");

/** Gives a folder whose run store has the run `r1`, which is queued and has logged `one`. */
const withRun = (body: (folder: string, runs: RunStore) => Promise<void>) =>
  withFolder(async (folder) => {
    const runs = await openRuns(loadConfig({ PARLEY_DATA: `${folder}/.parley` }).runs);
    try {
      await runs.create({ run: runOf("r1", { dag_id: "nightly" }), tasks: [] });
      await runs.appendLogs({ run_id: "r1", lines: [logged("one")] });
      await body(folder, runs);
    } finally {
      await runs.close();
    }
  });

Deno.test("logs --follow prints lines as they come, once each, and ends with the run", () =>
  withRun(async (folder, runs) => {
    const child = command(folder, "pipeline", ["pipeline", "logs", "r1", "--follow"]).spawn();
    await child.stdin.close();
    const errors = new Response(child.stderr).text();
    const [watched, whole] = child.stdout.tee();
    const text = new Response(whole).text();
    const { rest } = await until(watched, /one\n/);
    await runs.appendLogs({ run_id: "r1", lines: [logged("two"), logged("three")] });
    await new Promise((resume) => setTimeout(resume, 1_000));
    await runs.appendLogs({ run_id: "r1", lines: [logged("four")] });
    const before = await Promise.race([child.status, new Promise((resume) => setTimeout(resume, 1_000))]);
    assert.equal(before, undefined, "the run has not ended");
    await runs.appendLogs({ run_id: "r1", lines: [logged("five")] });
    await runs.requestCancel({ run_id: "r1" });
    assert.equal((await child.status).code, 0, await errors);
    await rest();
    assert.equal(await text, shown("one", "two", "three", "four", "five"));
    assert.equal(await errors, "");
  }));

Deno.test("logs without --follow prints existing lines and does not wait for the run", () =>
  withRun(async (folder) => {
    const { code, stdout } = await runHere(folder, ["pipeline", "logs", "r1"]);
    assert.deepEqual([code, stdout], [0, shown("one")]);
    const other = await runHere(folder, ["pipeline", "logs", "r1", "embed"]);
    assert.deepEqual([other.code, other.stdout], [0, ""]);
  }));

Deno.test("logs --follow of a run that does not exist fails and says how to list runs", () =>
  withRun(async (folder) => {
    const { code, stderr } = await runHere(folder, ["pipeline", "logs", "r2", "--follow"]);
    assert.deepEqual([code, stderr], [
      1,
      "parley: there is no run r2; `deno task pipeline runs` lists them\n",
    ]);
  }));

Deno.test("the nightly run is due by PARLEY_SCHEDULE on the clock of PARLEY_TIMEZONE, and lists say so in UTC", () =>
  withFolder(async (folder) => {
    // Neither zone changes its clock during the year.
    for (const [zone, utc] of [["Asia/Tokyo", "17:30"], ["America/Bogota", "07:30"], ["UTC", "02:30"]]) {
      const env = { PARLEY_SCHEDULE: "30 2 * * *", PARLEY_TIMEZONE: zone! };
      const listed = await runHere(folder, ["pipeline", "list", "--json"], { env });
      const [nightly] = JSON.parse(listed.stdout).dags;
      assert.equal(nightly.schedule, `30 2 * * * ${zone}`);
      assert.equal(nightly.next.slice(11), `${utc}:00.000Z`);
      const doctor = await runHere(folder, ["doctor", "--json"], { env });
      const { schedule } = JSON.parse(doctor.stdout);
      assert.deepEqual([schedule.timezone, schedule.next], [zone, nightly.next]);
    }
  }));
