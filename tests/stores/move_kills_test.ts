import assert from "node:assert/strict";
import { z } from "../../deps.ts";
import { MoveState } from "../../lib/move/move.ts";
import type { Role } from "../../lib/move/part.ts";
import { command, run } from "../fixtures/commands.ts";
import {
  copyFolder,
  digests,
  type Flow,
  flowTemplate,
  nightlyRun,
  withFlow,
  writeRows,
} from "../fixtures/flow.ts";
import { dropSchema, freshSchema, NEEDS_PGVECTOR, PGVECTOR } from "../fixtures/postgres.ts";

/** So many that each store is copied in many pages. */
const MESSAGES = 6_000;
const EVENTS = 4_000;

const withRows = flowTemplate(async (flow) => {
  const { outcome, snapshot } = await nightlyRun(flow, inputOf(flow));
  assert.equal(outcome, "success", snapshot.run.error ?? "");
});

function inputOf(flow: Flow) {
  const at = (hour: number, n: number) => new Date(Date.UTC(2026, 0, 1, hour, 0, n)).toISOString();
  const messages = Array.from({ length: MESSAGES }, (_, n) => ({
    message_id: `m-${n}`,
    user_id: `u-${n % 397}`,
    message: `thing ${n} of ${n % 31} kinds`,
    timestamp: at(0, n),
    intent: `topic_${n % 7}`,
  }));
  const campaigns = Array.from({ length: 30 }, (_, n) => ({
    campaign_id: `c-${n}`,
    title: `Campaign ${n}`,
    intents: [`topic_${n % 7}`],
  }));
  const events = Array.from({ length: EVENTS }, (_, n) => ({
    user_id: `u-${n % 397}`,
    campaign_id: `c-${n % 30}`,
    type: n % 5 === 0 ? "click" : "impression",
    timestamp: at(1, n),
  }));
  return {
    messages: [writeRows(flow, "messages.ndjson", messages)],
    campaigns: [writeRows(flow, "campaigns.ndjson", campaigns)],
    events: [writeRows(flow, "events.ndjson", events)],
  };
}

interface Move {
  start(): Deno.ChildProcess;
  /** What the record of the move says; null without one. */
  state(): MoveState | null;
  /** Moves to the end, and compares both places. */
  finish(): Promise<void>;
}

/** Gives a move from embedded stores to a PostgreSQL, not begun. */
function moves(name: string, body: (move: Move) => Promise<void>): void {
  if (PGVECTOR === undefined) return Deno.test.ignore(`${name}: ${NEEDS_PGVECTOR}`, () => {});
  Deno.test(name, () =>
    withRows(async (flow) => {
      const target = freshSchema(PGVECTOR!);
      const args = ["move", "--to", target.href];
      // The task may write into this folder alone.
      copyFolder(flow.config.data, `${flow.input}/.parley`);
      const state = () => readState(`${flow.input}/.parley/move.json`);
      const finish = async () => {
        const { code, stdout, stderr } = await run(flow.input, "move", args);
        assert.equal(code, 0, stderr);
        assert.equal(stdout.match(/ equal /g)?.length, 5, stdout);
        assert.equal(state(), null);
        await withFlow(async (moved) => {
          assert.deepEqual(await digests(moved), await digests(flow));
        }, { PARLEY_STORES: target.href });
      };
      try {
        await body({ start: () => command(flow.input, "move", args).spawn(), state, finish });
      } finally {
        await dropSchema(target);
      }
    }));
}

const RecordFile = z.object({ state: MoveState });

function readState(path: string): MoveState | null {
  try {
    return RecordFile.parse(JSON.parse(Deno.readTextFileSync(path))).state;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

/** Waits until a page of a role is copied, and its part is not done. */
async function untilIn(role: Role, { state }: Move, child: Deno.ChildProcess): Promise<void> {
  let over = false;
  const ended = child.status.then(() => over = true);
  for (;;) {
    const now = state();
    if (now?.part?.startsWith(`${role}: `) && now.rows > 0) return;
    if (over) assert.fail(`the move ended before it was in ${role}: ${JSON.stringify(now)}`);
    await Promise.race([ended, new Promise((resume) => setTimeout(resume, 1))]);
  }
}

/** All rows that a move has copied, by its record. */
function copied({ done, rows }: MoveState): number {
  return Object.values(done).reduce((sum, count) => sum + count, rows);
}

moves("a move to PostgreSQL that is killed continues by the same command", async (move) => {
  let before = 0;
  for (const role of ["documents", "vectors", "analytics"] as const) {
    const child = move.start();
    await untilIn(role, move, child);
    child.kill("SIGKILL");
    const { signal } = await child.output();
    await child.stdin.close();
    assert.equal(signal, "SIGKILL");
    const rows = copied(move.state()!);
    assert.ok(rows > before, `${rows} rows after ${before}`);
    before = rows;
  }
  await move.finish();
});

moves(
  "a move to PostgreSQL that Ctrl-C stops says that the same command continues, and it does",
  async (move) => {
    const child = move.start();
    await untilIn("vectors", move, child);
    child.kill("SIGINT");
    const { code, stderr } = await child.output();
    await child.stdin.close();
    const text = new TextDecoder().decode(stderr);
    assert.equal(code, 130, text);
    assert.match(text, /^Stopping: .*the same command continues there/m);
    await move.finish();
  },
);
