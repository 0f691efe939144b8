import assert from "node:assert/strict";
import { filledRole, move, type MoveState, NOT_BEGUN, refuseInUse } from "../../lib/move/move.ts";
import { ROLES, type Stores } from "../../lib/move/part.ts";
import { iso } from "../../lib/core/clock.ts";
import { ParleyError } from "../../lib/core/errors.ts";
import { flowTemplate, loadSample } from "../fixtures/flow.ts";
import { embeddedIn } from "../fixtures/move.ts";
import { message } from "../fixtures/rows.ts";
import { leadAt, runOf, T0 } from "../fixtures/runs.ts";
import { withStoresOf } from "../fixtures/stores.ts";

const withSample = flowTemplate(loadSample);

/** Gives the stores of the sample, and empty ones in another folder. */
const withBoth = (body: (from: Stores, to: Stores, folder: string) => Promise<void>) =>
  withSample(async ({ services, runs, input }) => {
    const { documents, vectors, graph, analytics } = services;
    await withStoresOf(
      embeddedIn(`${input}/new`),
      (to) => body({ documents, vectors, graph, analytics, runs }, to, input),
    );
  });

const conflict = (text: RegExp) => (error: unknown) =>
  error instanceof ParleyError && error.code === "conflict" && text.test(error.message);

Deno.test("move() copies all stores, and says for each role that the contents are equal", () =>
  withBoth(async (from, to) => {
    const states: MoveState[] = [];
    const onProgress = (state: MoveState) => void states.push(state);
    const moved = await move({ from, to, roles: ROLES, state: NOT_BEGUN, onProgress });
    assert.deepEqual(moved.map(({ role }) => role), [...ROLES]);
    for (const role of moved) {
      assert.equal(role.from, role.to, role.role);
      assert.ok(role.rows > 0, role.role);
    }
    assert.deepEqual(await to.documents.counts(), await from.documents.counts());
    assert.deepEqual(await to.documents.listDirtyUsers({ after: null, limit: 9 }), []);
    const published = await to.analytics.published();
    assert.deepEqual(published, await from.analytics.published());
    const [model] = await to.vectors.models();
    const vectors = await to.vectors.forModel({ model: model! });
    assert.deepEqual(await vectors.verify({ version: published!.version }), []);
    assert.ok(states.length > 20);
  }));

Deno.test("move() continues after each state at which it was interrupted", () =>
  withBoth(async (from, to) => {
    const interrupted = new Error("interrupted");
    let state = NOT_BEGUN;
    let times = 0;
    for (let left = true; left;) {
      // Each try stores a page or two, and ends before it has told of the last.
      let pages = 0;
      const onProgress = (next: MoveState) => {
        if (pages++ > 2) throw interrupted;
        state = next;
      };
      await move({ from, to, roles: ROLES, state, onProgress }).then(
        () => left = false,
        (error) => {
          assert.equal(error, interrupted);
          times++;
        },
      );
    }
    assert.ok(times > 20, `${times}`);
    const repeated = await move({ from, to, roles: ROLES, state, onProgress: () => {} });
    for (const { role, from, to } of repeated) assert.equal(from, to, role);
  }));

Deno.test("move() leaves dirty users dirty, and says that contents differ if the source has changed", () =>
  withBoth(async (from, to) => {
    const [given] = await from.documents.page({ after: null, limit: 1 });
    // Its former user is dirty as well, and may have had no other.
    const row = message({ message_id: "new", user_id: "former" });
    await from.documents.upsert({ messages: [row] });
    await from.documents.clearDirty({
      users: await from.documents.listDirtyUsers({ after: null, limit: 9 }),
    });
    await from.documents.upsert({ messages: [{ ...row, user_id: given!.user_id }] });
    const moved = await move({ from, to, roles: ["documents"], state: NOT_BEGUN, onProgress: () => {} });
    assert.equal(moved[0]!.from, moved[0]!.to);
    const dirty = await to.documents.listDirtyUsers({ after: null, limit: 9 });
    assert.deepEqual(dirty.map(({ user_id }) => user_id), [given!.user_id, "former"].sort());
    const parts = ["messages", "classifier", "quarantine", "dirty_users"];
    const state = { ...NOT_BEGUN, done: Object.fromEntries(parts.map((name) => [`documents: ${name}`, 1])) };
    const target = moved[0]!.to;
    const sourceAfter = async (change: Promise<unknown>) => {
      await change;
      const [repeated] = await move({ from, to, roles: ["documents"], state, onProgress: () => {} });
      assert.equal(repeated!.to, target);
      return repeated!.from;
    };
    const refused = {
      run_id: "r",
      kind: "messages",
      source: "s",
      position: 1,
      reason: "blank",
      raw: "",
      at: iso(T0),
    } as const;
    const sources = [
      target,
      await sourceAfter(from.documents.quarantine({ rows: [refused] })),
      await sourceAfter(from.documents.saveClassifier({ classifier: { key: "k", body: "b" }, examples: [] })),
      await sourceAfter(from.documents.upsert({ messages: [message({ message_id: "newer" })] })),
    ];
    assert.equal(new Set(sources).size, sources.length);
  }));

Deno.test("filledRole() finds data of any role, and refuseInUse() refuses a source with a live scheduler or a run that has not ended", () =>
  withBoth(async (from, to) => {
    assert.equal(await filledRole(to, ROLES), null);
    for (const role of ROLES) assert.equal(await filledRole(from, [role]), role);
    const check = (now: number) => refuseInUse(from, { now, remedy: "let it end" });
    await check(T0);
    await leadAt(from.runs, T0);
    await assert.rejects(check(T0 + 1), conflict(/stop Parley first/));
    await check(T0 + 24 * 3_600_000);
    const dead = runOf("dead", { state: "running" });
    await from.runs.create({ run: dead, tasks: [], lease: { owner: "dead", until: T0 } });
    await assert.rejects(
      check(T0 + 24 * 3_600_000),
      conflict(/dead has not ended at the source: let it end$/),
    );
  }));
