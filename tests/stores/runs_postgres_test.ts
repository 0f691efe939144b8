import assert from "node:assert/strict";
import { iso } from "../../lib/core/clock.ts";
import { newTask } from "../../lib/dag/state.ts";
import type { RunStore } from "../../lib/stores/runs/port.ts";
import { PostgresRuns } from "../../lib/stores/runs/postgres/postgres_runs.ts";
import { SqliteRuns } from "../../lib/stores/runs/sqlite/sqlite_runs.ts";
import { add, claim, runsContract } from "../contracts/runs.ts";
import { assertCopied, copyRuns, fillRuns } from "../fixtures/copied_runs.ts";
import { dropSchema, freshSchema, onEachPostgres } from "../fixtures/postgres.ts";
import { endOf, runOf, startOf, T0, useOf } from "../fixtures/runs.ts";

onEachPostgres("PostgresRuns", suite);

/** Gives handles on one fresh schema, as so many processes would have them. */
async function withHandles(
  server: string,
  count: number,
  body: (handles: [RunStore, ...RunStore[]]) => Promise<void>,
): Promise<void> {
  const url = freshSchema(server);
  const open = () => new PostgresRuns({ url });
  const handles: [RunStore, ...RunStore[]] = [open(), ...Array.from({ length: count - 1 }, open)];
  try {
    await body(handles);
  } finally {
    for (const handle of handles) await handle.close();
    await dropSchema(url);
  }
}

const ids = (count: number) => Array.from({ length: count }, (_, n) => `r${String(n).padStart(2, "0")}`);

function suite(server: string, name: string): void {
  Deno.test(`${name}: rows copied from SQLite and back are equal, and each copy continues`, () =>
    withHandles(server, 1, async ([server]) => {
      const folder = await Deno.makeTempDir();
      const [from, back] = ["from", "back"].map((name) => new SqliteRuns({ path: `${folder}/${name}.db` }));
      await fillRuns(from!);
      await copyRuns(from!, server);
      await copyRuns(server, back!);
      await assertCopied(from!, server);
      await assertCopied(from!, back!);
      await from!.close();
      await back!.close();
      await Deno.remove(folder, { recursive: true });
    }));

  runsContract(name, () => {
    const url = freshSchema(server);
    const store = new PostgresRuns({ url });
    return Promise.resolve({
      store,
      openAnother: () => Promise.resolve(new PostgresRuns({ url })),
      close: async () => {
        await store.close();
        await dropSchema(url);
      },
    });
  });

  Deno.test(`${name} gives no run twice and holds max_active under concurrent claims`, () =>
    withHandles(server, 4, async (handles) => {
      const runs = handles[0];
      for (const run_id of ids(12)) await add(runs, run_id);
      const given: string[] = [];
      for (let round = 0; round < 6; round++) {
        const asked = Array.from(
          { length: 16 },
          (_, i) =>
            claim(handles[i % 4]!, `p${round}-${i}`, { max: 2 }).then((found) => ({
              found,
              owner: `p${round}-${i}`,
            })),
        );
        const got = (await Promise.all(asked)).filter(({ found }) => found !== null);
        assert.equal(got.length, 2, `round ${round}`);
        for (const { found, owner } of got) {
          const { run_id } = found!.run;
          given.push(run_id);
          const run = { state: "success" as const, started_at: iso(T0), ended_at: iso(T0), error: null };
          await runs.commit({ run_id, owner, now: T0, changes: { run } });
        }
      }
      assert.deepEqual(given.sort(), ids(12));
    }));

  Deno.test(`${name} gives an interrupted run to one of many, and a run asked for by its id too`, () =>
    withHandles(server, 4, async (handles) => {
      await add(handles[0], "r");
      await claim(handles[0], "dead");
      const now = T0 + 60_000;
      for (const o of [{ now }, { now: now + 60_000, run_id: "r" }]) {
        const asked = Array.from({ length: 16 }, (_, i) => claim(handles[i % 4]!, `p${i}`, o));
        assert.equal((await Promise.all(asked)).filter((found) => found !== null).length, 1);
      }
    }));

  Deno.test(`${name} never admits more than a pool has room for, across runs at the same time`, () =>
    withHandles(server, 4, async (handles) => {
      const tasks = ["a", "b", "c"];
      for (const [i, run_id] of ids(4).entries()) {
        await add(handles[0], run_id, {}, tasks);
        await claim(handles[i]!, `p${i}`, { run_id, max: 4 });
      }
      const begin = (run: number, task: string) => {
        const starts = [startOf(task, { owner: `p${run}`, pool: "gpu" })];
        const changes = { starts, pools: { gpu: 5, other: 1 } };
        return handles[run]!.commit({ run_id: ids(4)[run]!, owner: `p${run}`, now: T0, changes });
      };
      const asked = [0, 1, 2, 3].flatMap((run) => tasks.map((task) => begin(run, task)));
      const admitted = (await Promise.all(asked)).flatMap((each) => each.admitted);
      assert.equal(admitted.length, 5);
    }));

  Deno.test(`${name}.revise() of one run at the same time adds up`, () =>
    withHandles(server, 4, async (handles) => {
      await add(handles[0], "r", {}, ["a"]);
      const revised = Array.from({ length: 20 }, (_, i) =>
        handles[i % 4]!.revise({
          run_id: "r",
          now: T0,
          plan: ({ tasks: [task] }) => ({ tasks: [{ ...task!, tries: task!.tries + 1 }] }),
        }));
      await Promise.all(revised);
      assert.equal((await handles[0].snapshot({ run_id: "r" }))?.tasks[0]?.tries, 20);
    }));

  Deno.test(`${name}.logs() shows every line to a reader that follows, under concurrent writes`, () =>
    withHandles(server, 3, async ([reader, ...writers]) => {
      await add(reader, "r");
      const line = (text: string) => ({ task_id: "a", attempt: 1, at: iso(T0), line: text });
      let writing = true;
      const written = Promise.all(writers.map(async (writer, w) => {
        for (let n = 0; n < 40; n++) {
          await writer.appendLogs({ run_id: "r", lines: [line(`${w} ${n}`), line(`${w} ${n} more \0`)] });
        }
      })).finally(() => writing = false);
      const seen: string[] = [];
      for (let after = 0, last = false; !last;) {
        last = !writing;
        const lines = await reader.logs({ run_id: "r", after, limit: 50 });
        seen.push(...lines.map((each) => each.line));
        after = lines.at(-1)?.seq ?? after;
        last &&= lines.length === 0;
      }
      await written;
      assert.equal(new Set(seen).size, 160);
      assert.ok(seen.includes("0 7 more \ufffd"));
    }));

  Deno.test(`${name} keeps fractions, texts that no server keeps, and the order of lineage`, () =>
    withHandles(server, 1, async ([runs]) => {
      await runs.create({
        run: runOf("r", { params: { said: "nul \0, lone \ud800" } }),
        tasks: [{ ...newTask("a"), ready_at: T0 + 0.5, output: { n: 0.1, said: "\0" } }],
      });
      const claimed = await claim(runs, "p");
      assert.equal(claimed?.tasks[0]?.ready_at, T0 + 0.5);
      assert.deepEqual(claimed.tasks[0].output, { n: 0.1, said: "\0" });
      assert.deepEqual(claimed.run.params, { said: "nul \0, lone \ud800" });
      const start = startOf("a", { owner: "p" });
      const names = ["z", "a", "m"];
      const lineage = names.map((name) => useOf(name, { rows: 1.5, quality: { share: 0.25 } }));
      const ended = [endOf(start, { progress_done: 2.5, lineage, error: "nul \0" })];
      await runs.commit({ run_id: "r", owner: "p", now: T0, changes: { starts: [start] } });
      await runs.commit({ run_id: "r", owner: "p", now: T0, changes: { ended } });
      const uses = await runs.lineage({ run_id: "r" });
      assert.deepEqual(uses.map(({ task_id: _, attempt: __, ...use }) => use), lineage);
      const [attempt] = (await runs.snapshot({ run_id: "r" }))!.attempts;
      assert.deepEqual([attempt?.progress_done, attempt?.error], [2.5, "nul \ufffd"]);
    }));
}
