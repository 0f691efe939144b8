import assert from "node:assert/strict";
import { openServing } from "../../commands/services.ts";
import { builtInDags, engine, executeQueued } from "../../commands/engine.ts";
import { systemClock } from "../../lib/core/clock.ts";
import { activeLimits } from "../../lib/dag/define.ts";
import { createRun, queueOnce } from "../../lib/dag/runs.ts";
import { eraseUsers } from "../../lib/privacy/erase_users.ts";
import { Recommender } from "../../lib/recommend/recommender.ts";
import { readUser, type UserRecord } from "../../lib/privacy/read_user.ts";
import { toMessage } from "../../lib/schema/message.ts";
import { MemoryCache } from "../../lib/stores/cache/memory/memory_cache.ts";
import { type Flow, flowTemplate, nightlyRun, runDag, writeRows } from "../fixtures/flow.ts";
import {
  countTraces,
  MARKED,
  markedRows,
  plantMarkedUser,
  SAID,
  tracesToSearch,
} from "../fixtures/marked_user.ts";

const withMarkedUser = flowTemplate(plantMarkedUser);

function stores({ services, runs }: Flow) {
  return { ...services, runs, cache: new MemoryCache({ max_bytes: 1_000_000 }) };
}

function erase(flow: Flow, user_ids = [MARKED]) {
  return eraseUsers({ stores: stores(flow), clock: systemClock, user_ids, log: () => {} });
}

function records(flow: Flow): Promise<UserRecord[]> {
  return Array.fromAsync(readUser({ stores: stores(flow), user_id: MARKED }));
}

Deno.test("an erased user is found by no read at once, and by no byte of any file after the job", () =>
  withMarkedUser(async (flow) => {
    const dir = flow.config.data;
    const traces = await tracesToSearch(flow);
    const before = countTraces(dir, traces);
    for (
      const store of ["documents", "analytics", "graph", "vectors", "indexes", "runs", "artifacts", "exports"]
    ) {
      assert.ok(before[store]! > 0, `${store} has traces of the marked user`);
    }
    const others = await flow.services.documents.counts();
    const kinds = new Set((await records(flow)).map(({ store, kind }) => `${store} ${kind}`));
    assert.deepEqual([...kinds].sort(), [
      "analytics conversation_words",
      "analytics event",
      "analytics preferences",
      "analytics profile_words",
      "artifacts line",
      "documents message",
      "documents refused_row",
      "exports line",
      "graph engaged",
      "graph expressed",
      "graph led_to",
      "runs checkpoint",
      "runs error",
      "runs line",
      "runs output",
      "vectors conversations",
      "vectors messages",
      "vectors profiles",
    ]);
    const erased = await erase(flow);
    assert.equal(erased.messages, 4);
    assert.equal(erased.quarantined, 2);
    assert.equal(erased.events, 3);
    const left = await records(flow);
    assert.deepEqual(
      new Set(left.map(({ store }) => store)),
      new Set(["analytics", "artifacts", "exports", "runs"]),
    );
    const ran = await runDag(flow, "erase", {});
    assert.equal(ran.outcome, "success", ran.snapshot.run.error ?? "");
    const after = countTraces(dir, traces);
    assert.deepEqual(Object.values(after).reduce((sum, count) => sum + count, 0), 0, JSON.stringify(after));
    assert.deepEqual(await records(flow), [
      { store: "analytics", kind: "preferences", row: { personalisation: true } },
    ]);
    const counts = await flow.services.documents.counts();
    assert.equal(counts.messages, others.messages - 4);
    assert.equal(counts.users, others.users - 1);
    assert.equal((await runDag(flow, "erase", {})).snapshot.run.error, "no erasure is pending");
    if (Deno.env.get("PARLEY_TEST_SHOW") !== undefined) console.table({ before, after });
  }));

Deno.test("others get the same answers after an erasure as before, at once and after the job", () =>
  withMarkedUser(async (flow) => {
    const user_ids = ["keziah-boateng", "jonas-ekdahl", "pip-longstaff"];
    const message = "Gait clinic on the treadmill please";
    const scores = async () => {
      const { value, close } = await openServing(flow.config);
      // As a process that starts now.
      const recommender = new Recommender({ stores: value, clock: systemClock, answer_ms: 30_000 });
      try {
        await recommender.prepare();
        const scored: unknown[] = [];
        for (const user_id of user_ids) {
          const { answer: { items, degraded } } = await recommender.explain({ user_id, k: 10 });
          scored.push([degraded, items.map(({ campaign_id, sources }) => ({ campaign_id, ...sources }))]);
        }
        const messages = [toMessage({ user_id: "anonymous", message, timestamp: "2026-11-01T10:00:00Z" })];
        const { answer: { items } } = await recommender.tryOut({ user_id: null, k: 5, messages, events: [] });
        assert.ok(items.some(({ sources }) => sources.wording > 0));
        assert.deepEqual([items[0]!.campaign_id, items[0]!.sources.mention], ["gait-clinic", 1]);
        scored.push(items);
        return scored;
      } finally {
        await close();
      }
    };
    const before = await scores();
    // Of this user nothing is stored, so no answer changes at all.
    await erase(flow, ["an-unknown-user"]);
    assert.deepEqual(await scores(), before);
    assert.equal((await runDag(flow, "erase", {})).outcome, "success");
    assert.deepEqual(await scores(), before);
    await erase(flow);
    await scores();
    assert.equal((await runDag(flow, "erase", {})).outcome, "success");
    await scores();
  }));

Deno.test("rows of an erased user are dropped from later sources, refused ones too, and leave no byte", () =>
  withMarkedUser(async (flow) => {
    const traces = await tracesToSearch(flow);
    await erase(flow);
    assert.equal((await runDag(flow, "erase", {})).outcome, "success");
    const rows = markedRows();
    const other = { user_id: "someone-new", message: "a tent", timestamp: "2026-05-09T10:00:00Z" };
    const { outcome, snapshot } = await nightlyRun(flow, {
      messages: [writeRows(flow, "again.ndjson", [...rows.messages, other, { user_id: "someone-new" }])],
      events: [writeRows(flow, "again_events.ndjson", rows.events)],
    });
    assert.equal(outcome, "success", snapshot.run.error ?? "");
    const validated = snapshot.tasks.find(({ task_id }) => task_id === "validate")!.output;
    const { rows: read, quarantined, erased } = validated as Record<string, number>;
    assert.deepEqual({ read, quarantined, erased }, { read: 10, quarantined: 1, erased: 8 });
    const { documents, analytics } = flow.services;
    assert.equal((await documents.page({ after: null, limit: 9, user_ids: [MARKED] })).length, 0);
    assert.equal((await documents.page({ after: null, limit: 9, user_ids: ["someone-new"] })).length, 1);
    assert.equal((await analytics.eventPage({ user_id: MARKED, after: null, limit: 9 })).length, 0);
    const refused = await documents.quarantined({ run_id: snapshot.run.run_id, limit: 9, offset: 0 });
    assert.ok(refused.every(({ raw }) => !raw.includes(MARKED) && !raw.includes(SAID)));
    const after = countTraces(flow.config.data, traces);
    assert.deepEqual(Object.values(after).reduce((sum, count) => sum + count, 0), 0, JSON.stringify(after));
  }));

Deno.test("the run is waited for while another run is in progress, and while another process executes it", () =>
  withMarkedUser(async (flow) => {
    const { config, runs, services } = flow;
    const dags = builtInDags(config);
    const params = { messages: [], campaigns: [], events: [] };
    const other = { owner: "other", now: Date.now(), ttl_ms: 60_000, ...activeLimits(dags.values()) };
    const { run_id } = await createRun({ dag: dags.get("nightly")!, runs, clock: systemClock, params });
    assert.equal((await runs.claim({ ...other, run_id }))?.run.run_id, run_id);
    await erase(flow);
    const until = await queueOnce({ dag: dags.get("erase")!, runs, clock: systemClock });
    let waits = 0;
    const onWait = () => {
      if (++waits === 2) runs.release({ run_id, owner: other.owner });
    };
    const execute = () =>
      executeQueued(engine({ config, runs, services }), new AbortController().signal, { until, onWait });
    assert.deepEqual(await Promise.all([execute(), execute()]), ["success", "success"]);
    assert.ok(waits > 2, `waited ${waits} times`);
  }));
