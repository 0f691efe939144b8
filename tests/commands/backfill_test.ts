import assert from "node:assert/strict";
import { run, runHere, withFolder } from "../fixtures/commands.ts";

const DAG = `import { defineDag } from "parley";
export default defineDag({
  id: "days",
  schedule: { cron: "0 2 * * *", timezone: "UTC" },
  tasks: [{ id: "a", run: ({ run }) => run.logical_date.slice(0, 10) }],
});
`;

Deno.test("pipeline backfill queues past days, which `pipeline work` executes, and backfills shows it", () =>
  withFolder(async (folder) => {
    await Deno.mkdir(`${folder}/dags`);
    await Deno.writeTextFile(`${folder}/dags/days.ts`, DAG);
    const env = { PARLEY_DAGS: `${folder}/dags` };
    const parley = (...args: string[]) => runHere(folder, ["pipeline", ...args], { env });
    const days = ["backfill", "days", "--from", "2026-05-01", "--to", "2026-05-03"];
    const dry = await parley(...days, "--dry-run");
    assert.match(dry.stdout, /2026-05-01T02:00:00.000Z +create.*\n[^]*3 new, 0 again, 0 left .* dry run/);
    const none = await parley("backfills");
    assert.match(none.stdout, /There is no backfill/);
    const queued = await parley(...days);
    assert.equal(queued.code, 0, queued.stderr);
    assert.match(queued.stdout, /3 new[^]*`deno task pipeline work` executes it/);
    // Its log has a timer of its own.
    assert.equal((await run(folder, "pipeline", ["pipeline", "work"], { env })).code, 0);
    assert.match(
      (await parley("backfills")).stdout,
      /days-\S+ +2026-05-01 +2026-05-03 +done +0 +0 +3 +0 +0\n/,
    );
    const again = await parley(...days, "--reprocess", "completed", "--max-active", "2", "--json");
    const { backfill_id, plan } = JSON.parse(again.stdout);
    assert.deepEqual(plan.map(({ action }: { action: string }) => action), Array(3).fill("run again"));
    const cancelled = await parley("backfills", "cancel", backfill_id);
    assert.match(cancelled.stdout, /^3 runs of \S+ are being cancelled\n$/);
    const ended = await parley("backfills", "cancel", backfill_id);
    assert.deepEqual([ended.code, ended.stderr], [1, `parley: all runs of ${backfill_id} have ended\n`]);
    assert.equal((await parley("backfill", "days", "--from", "x", "--to", "y")).code, 2);
    assert.equal((await parley("backfill", "days", "--from", "2026-05-01")).code, 2);
  }));
