import assert from "node:assert/strict";
import { run, runHere, withFolder } from "../fixtures/commands.ts";

const ROW = JSON.stringify({ user_id: "u", message: "words", timestamp: "2026-05-01T00:00:00Z" });

Deno.test("pipeline --date makes a run of that logical date, whose data interval is that instant", () =>
  withFolder(async (folder) => {
    const pipeline = (...args: string[]) => runHere(folder, ["pipeline", ...args]);
    const dated = ["pipeline", "--messages", "-", "--date", "2026-05-01T02:30+02:00", "--json"];
    const made = await run(folder, "pipeline", dated, { input: ROW });
    assert.equal(made.code, 0, made.stderr);
    const day = await pipeline("--all", "--date", "2026-05-02", "--json");
    assert.equal(day.code, 0, day.stderr);
    const { runs } = JSON.parse((await pipeline("runs", "--json")).stdout);
    const dates = new Map(
      runs.map((
        { run_id, logical_date, interval_start, interval_end }: Record<string, string>,
      ) => [run_id, [logical_date, interval_start, interval_end]]),
    );
    assert.deepEqual(
      [made, day].map(({ stdout }) => dates.get(JSON.parse(stdout).run_id)),
      ["2026-05-01T00:30:00.000Z", "2026-05-02T00:00:00.000Z"].map((at) => [at, at, at]),
    );
  }));

Deno.test("run-task --from and --to make a run of that data interval, of days in UTC or times with an offset", () =>
  withFolder(async (folder) => {
    const task = ["pipeline", "run-task", "--dag", "nightly", "--run-id", "outside", "--task", "ingest"];
    const ran = await runHere(folder, [
      ...task,
      ...["--from", "2026-05-01", "--to", "2026-05-02T02:00+02:00"],
    ]);
    assert.equal(ran.code, 99, ran.stderr);
    const { runs } = JSON.parse((await runHere(folder, ["pipeline", "runs", "--json"])).stdout);
    assert.deepEqual(
      runs.map((
        { run_id, interval_start, interval_end }: Record<string, string>,
      ) => [run_id, interval_start, interval_end]),
      [["outside", "2026-05-01T00:00:00.000Z", "2026-05-02T00:00:00.000Z"]],
    );
  }));

Deno.test("a wrong date, or a time without an offset, is refused with the right form, and creates no run", () =>
  withFolder(async (folder) => {
    const sentence = (date: string, why: RegExp) =>
      new RegExp(`^parley: the date "${date}" ${why.source}.*; a day is written as 2026-05-01\n$`);
    for (
      const [date, why] of [["tomorrow", /is not a time/], ["2026-05-01T02:30", /has no UTC offset/]] as const
    ) {
      const dated = await runHere(folder, ["pipeline", "--all", "--date", date]);
      assert.equal(dated.code, 2);
      assert.match(dated.stderr, sentence(date, why));
      const order = ["--dag", "nightly", "--run-id", "outside", "--task", "ingest"];
      const dates = [["--from", date, "--to", "2026-05-02"], ["--from", "2026-05-01", "--to", date]];
      for (const interval of dates) {
        const task = await runHere(folder, ["pipeline", "run-task", ...order, ...interval]);
        assert.equal(task.code, 98);
        assert.match(task.stderr, sentence(date, why));
      }
    }
    assert.deepEqual([...Deno.readDirSync(folder)], []);
  }));
