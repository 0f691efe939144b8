import assert from "node:assert/strict";
import { ManualClock } from "../../../lib/core/clock.ts";
import type { RunEvent } from "../../../lib/lineage/events.ts";
import { parseSink } from "../../../lib/lineage/sink.ts";
import type { OutboxSender } from "../../../lib/outbox/sender.ts";
import type { RunStore, UnsentAttempt } from "../../../lib/stores/runs/port.ts";
import { until, withRuns } from "../../fixtures/dag.ts";
import { hanging, type LineageSenderOptions, LineageSink, senderTo } from "../../fixtures/lineage.ts";
import { tagOf } from "../../fixtures/openlineage.ts";
import { addRun, T0 } from "../../fixtures/runs.ts";

interface World {
  readonly runs: RunStore;
  readonly sink: LineageSink;
  /** Starts a sender, which is closed at the end. */
  send(options?: LineageSenderOptions): { sender: OutboxSender<UnsentAttempt>; log: string[] };
  /** Adds runs of one ended attempt each, in the order of these ids. */
  add(...run_ids: string[]): Promise<void>;
  /** Waits until so many attempts are unsent. */
  left(count: number): Promise<void>;
}

function senderTest(name: string, body: (world: World) => Promise<void>): void {
  Deno.test(name, () =>
    withRuns(async (runs) => {
      const sink = new LineageSink().start();
      const senders: OutboxSender<UnsentAttempt>[] = [];
      let at = T0;
      const add = async (...run_ids: string[]) => {
        for (const run_id of run_ids) {
          await addRun(runs, { run_id, dag_id: "d", at: at += 1_000, task_id: "t" });
        }
      };
      const send = (options: LineageSenderOptions = {}) => {
        const made = senderTo(sink, runs, options);
        senders.push(made.sender);
        return made;
      };
      const left = (count: number) => until(async () => await runs.unsent() === count);
      try {
        await body({ runs, sink, send, add, left });
      } finally {
        for (const sender of senders) await sender.close();
        await sink.stop();
      }
    }));
}

/** The run ids of the ends among events, which each attempt has one of. */
const ended = (events: readonly RunEvent[]) =>
  events.filter(({ eventType }) => eventType !== "START").map(runOf);
const runOf = (event: RunEvent) => tagOf(event, "run_id");
const status = (code: number, headers: HeadersInit = {}) => new Response("no", { status: code, headers });

senderTest("a sender sends start and end of each attempt, oldest first, and each once", async (world) => {
  const { sink, send, add, left } = world;
  await add("r1", "r2");
  const { log } = send();
  await left(0);
  await add("r3");
  await left(0);
  assert.deepEqual(
    sink.taken.map(({ eventType }) => eventType),
    [1, 2, 3].flatMap(() => ["START", "COMPLETE"]),
  );
  assert.deepEqual(ended(sink.taken), ["r1", "r2", "r3"]);
  assert.deepEqual(log, []);
});

senderTest("a sender shows its key and namespace, and goes where Marquez listens", async (world) => {
  const { sink, send, add, left } = world;
  await add("r1");
  send({ address: parseSink({ url: new URL("?namespace=shop&x=1", sink.url), key: "token" }) });
  await left(0);
  const [asked] = sink.asked;
  assert.equal(asked?.authorization, "Bearer token");
  assert.equal(asked.url, `${sink.url}api/v1/lineage?x=1`);
  assert.equal(asked.event.job.namespace, "shop");
});

senderTest("a sink that is down is logged once, and gets all events when it is back", async (world) => {
  const { runs, sink, send, add, left } = world;
  await sink.stop();
  await add("r1", "r2");
  const { log } = send();
  await until(() => log.length > 0);
  await add("r3");
  await new Promise((resume) => setTimeout(resume, 200));
  assert.equal(await runs.unsent(), 3);
  sink.start();
  await left(0);
  assert.deepEqual(ended(sink.taken).sort(), ["r1", "r2", "r3"]);
  const { host } = sink.url;
  assert.deepEqual(log, [
    `warning: the lineage sink ${host} cannot be reached; what comes meanwhile is sent later`,
    `info: the lineage sink ${host} works again`,
  ]);
});

senderTest("a sink that hangs is given up on in time, and tried again", async ({ sink, send, add, left }) => {
  const { fault, release } = hanging();
  sink.fault = (event, count) => count === 1 ? fault(event, count) : null;
  await add("r1");
  const { log } = send({ timeout_ms: 100 });
  await left(0);
  release();
  assert.match(log[0]!, /does not answer in time/);
});

for (const code of [302, 401, 403, 404, 408, 500, 503]) {
  senderTest(
    `a sink that answers ${code} loses nothing and is asked again`,
    async ({ sink, send, add, left }) => {
      sink.fault = (_, count) => count <= 3 ? status(code, { location: "http://127.0.0.1:1/" }) : null;
      await add("r1", "r2");
      const { log } = send();
      await left(0);
      assert.deepEqual(ended(sink.taken).sort(), ["r1", "r2"]);
      assert.match(log[0]!, new RegExp(`^warning: .* answers with HTTP ${code}`));
      assert.equal(log.length, 2);
    },
  );
}

senderTest(
  "a sink that fails is asked for one attempt at a time, ever less often",
  async ({ sink, send, add }) => {
    sink.fault = () => status(503);
    await add(...Array.from({ length: 10 }, (_, n) => `r${n}`));
    send();
    await until(() => sink.asked.length >= 5);
    const gaps = sink.asked.slice(1).map(({ at }, i) => at - sink.asked[i]!.at);
    for (const [i, least] of [20, 40, 80, 160].entries()) {
      assert.ok(
        gaps[i]! >= least - 5,
        `${i}: ${gaps[i]} ms`,
      );
    }
  },
);

senderTest("a sink that says when is not asked before", async ({ sink, send, add, left }) => {
  sink.fault = (_, count) => count === 1 ? status(429, { "retry-after": "1" }) : null;
  await add("r1");
  send();
  await left(0);
  assert.ok(sink.asked[1]!.at - sink.asked[0]!.at >= 990);
});

senderTest("an attempt that the sink fails on holds none up", async ({ runs, sink, send, add, left }) => {
  const poison = new Set(["r1", "r2", "r4"]);
  sink.fault = (event) => event.eventType !== "START" && poison.has(runOf(event)!) ? status(500) : null;
  await add("r1", "r2", "r3", "r4", "r5");
  send();
  await left(3);
  await add("r6");
  await left(3);
  await until(() => sink.taken.length > 0 && ended(sink.taken).includes("r6"));
  assert.deepEqual(ended(sink.taken), ["r3", "r5", "r6"]);
  assert.equal(await runs.unsent(), 3);
  poison.clear();
  await left(0);
  assert.deepEqual(ended(sink.taken).sort(), ["r1", "r2", "r3", "r4", "r5", "r6"]);
});

senderTest("an attempt that the sink refuses is logged, and retried after an hour", async (world) => {
  const { runs, sink, send, add, left } = world;
  const clock = new ManualClock(T0);
  let fussy = true;
  sink.fault = (event) => fussy && runOf(event) === "r1" ? status(422) : null;
  await add("r1", "r2", "r3");
  const { log } = send({ clock });
  await left(1);
  await new Promise((resume) => setTimeout(resume, 100));
  assert.deepEqual(ended(sink.taken), ["r2", "r3"]);
  assert.equal(ended(sink.asked.map(({ event }) => event)).filter((id) => id === "r1").length, 1);
  assert.equal(log.length, 1);
  assert.match(log[0]!, /^warning: .* answers with HTTP 422 to t, attempt 1 of r1; .* each hour$/);
  fussy = false;
  clock.advance(3_600_000 - 1);
  await new Promise((resume) => setTimeout(resume, 50));
  assert.equal(await runs.unsent(), 1);
  clock.advance(1);
  await left(0);
});

senderTest("two senders share the work: each attempt is sent by one", async ({ sink, send, add, left }) => {
  await add(...Array.from({ length: 60 }, (_, n) => `r${n}`));
  send();
  send();
  await left(0);
  const ids = ended(sink.taken);
  assert.deepEqual([ids.length, new Set(ids).size], [60, 60]);
});

senderTest("an attempt that was sent but could not be marked is sent again after a minute", async (world) => {
  const { runs, sink, send, add, left } = world;
  const clock = new ManualClock(T0);
  const settle = runs.markSent.bind(runs);
  runs.markSent = () => Promise.reject(new Error("disk on fire"));
  await add("r1");
  const { log } = send({ clock });
  await until(() => log.length > 0);
  runs.markSent = settle;
  assert.match(log[0]!, /^warning: what the lineage sink gets is sent later: Error at /);
  clock.advance(60_000);
  await left(0);
  assert.deepEqual(ended(sink.taken), ["r1", "r1"]);
  assert.equal(sink.taken[0]?.run.runId, sink.taken[2]?.run.runId);
});

senderTest("a run store that does not answer is asked again", async ({ runs, sink, send, add, left }) => {
  const take = runs.takeUnsent.bind(runs);
  let asked = 0;
  runs.takeUnsent = (options) => ++asked <= 3 ? Promise.reject(new Error("locked")) : take(options);
  await add("r1");
  const { log } = send();
  await left(0);
  assert.deepEqual(ended(sink.taken), ["r1"]);
  assert.equal(log.length, 2);
});

senderTest("close() sends attempts that have just ended", async ({ runs, sink, send, add }) => {
  const { sender } = send({ poll_ms: 60_000 });
  await until(() => runs.unsent().then((count) => count === 0));
  await add(...Array.from({ length: 50 }, (_, n) => `r${n}`));
  await sender.close();
  assert.equal(ended(sink.taken).length, 50);
  assert.equal(await runs.unsent(), 0);
});

senderTest(
  "close() waits briefly for a sink that hangs, and leaves the rest to the next sender",
  async (world) => {
    const { sink, send, add, left } = world;
    const { fault, release } = hanging();
    sink.fault = fault;
    await add("r1", "r2");
    const { sender, log } = send({ flush_ms: 100 });
    await until(() => sink.asked.length > 0);
    const before = performance.now();
    await sender.close();
    assert.ok(performance.now() - before < 2_000);
    assert.deepEqual(log, []);
    release();
    sink.fault = () => null;
    send();
    await left(0);
  },
);

senderTest("close() does not ask a sink again that fails", async ({ runs, sink, send, add }) => {
  const { fault, release } = hanging();
  sink.fault = fault;
  await add("r1", "r2");
  const { sender, log } = send({ timeout_ms: 50, random: () => 0.99 });
  await until(() => log.length > 0);
  await sender.close();
  release();
  assert.equal(sink.asked.length, 1);
  assert.equal(await runs.unsent(), 2);
});
