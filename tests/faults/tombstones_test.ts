import assert from "node:assert/strict";
import { systemClock } from "../../lib/core/clock.ts";
import { allowUser } from "../../lib/privacy/allow_user.ts";
import { applyTombstones } from "../../lib/privacy/apply_tombstones.ts";
import { ErasedUsers } from "../../lib/privacy/erased_users.ts";
import { eraseUsers } from "../../lib/privacy/erase_users.ts";
import { readUser } from "../../lib/privacy/read_user.ts";
import { MemoryCache } from "../../lib/stores/cache/memory/memory_cache.ts";
import { copyFolder, type Flow, flowTemplate, runDag, withFlow, withStores } from "../fixtures/flow.ts";
import { MARKED, plantMarkedUser } from "../fixtures/marked_user.ts";
import { event } from "../fixtures/rows.ts";

const withMarkedUser = flowTemplate(plantMarkedUser);
const log = () => {};

function stores({ services, runs }: Flow) {
  return { ...services, runs, cache: new MemoryCache({ max_bytes: 1_000_000 }) };
}

async function storesWithRows(flow: Flow): Promise<string[]> {
  const found = new Set<string>();
  for await (const { store, kind } of readUser({ stores: stores(flow), user_id: MARKED })) {
    if (kind !== "preferences") found.add(store);
  }
  return [...found].sort();
}

const REPLACED = ["documents.db", "analytics.db", "graph.db", "vectors"];

for (const name of REPLACED) {
  Deno.test(`tombstones of the other stores are applied to ${name} from before the erasure`, () =>
    withMarkedUser(async (flow) => {
      const { data } = flow.config;
      const before = `${flow.input}/before`;
      await flow.services.documents.compact();
      await flow.services.analytics.compact();
      await flow.services.graph.compact();
      copyFolder(data, before);
      await eraseUsers({ stores: stores(flow), clock: systemClock, user_ids: [MARKED], log });
      assert.equal((await runDag(flow, "erase", {})).outcome, "success");
      const later = `${flow.input}/later`;
      copyFolder(data, later);
      for (const end of ["", "-wal", "-shm"]) {
        await Deno.remove(`${later}/${name}${end}`, { recursive: true }).catch(() => {});
      }
      if (name === "vectors") copyFolder(`${before}/vectors`, `${later}/vectors`);
      else Deno.copyFileSync(`${before}/${name}`, `${later}/${name}`);
      await withFlow(
        async (restored) => {
          assert.deepEqual(await storesWithRows(restored), [name.replace(".db", "")]);
          const applied = await applyTombstones({ stores: stores(restored), clock: systemClock, log });
          assert.equal(applied.users, 1);
          assert.ok(
            applied.lacking.every((store) => store.startsWith(name.replace(".db", ""))),
            String(applied.lacking),
          );
          assert.deepEqual(await storesWithRows(restored), []);
          assert.equal(
            (await restored.services.analytics.pendingErasures({ after: null, limit: 9 })).length,
            1,
          );
          assert.equal((await runDag(restored, "erase", {})).outcome, "success");
          const again = await applyTombstones({ stores: stores(restored), clock: systemClock, log });
          assert.deepEqual(again, { users: 0, lacking: [], foreign: 0 });
        },
        {},
        await wrapped(later),
      );
    }));
}

/** A folder of a flow with these data. */
async function wrapped(data: string): Promise<string> {
  const folder = await Deno.makeTempDir({ dir: data.replace(/\/[^/]+$/, "") });
  await Deno.rename(data, `${folder}/data`);
  return folder;
}

Deno.test("allowUser() takes rows again once the erasure is complete", () =>
  withMarkedUser(async (flow) => {
    const all = stores(flow);
    const erased = new ErasedUsers(all.analytics);
    const options = { stores: all, user_id: MARKED, log };
    assert.equal(await allowUser(options), false);
    await eraseUsers({ stores: all, clock: systemClock, user_ids: [MARKED], log });
    assert.deepEqual([...await erased.among([MARKED, "other"])], [MARKED]);
    await assert.rejects(allowUser(options), { code: "conflict" });
    assert.equal((await runDag(flow, "erase", {})).outcome, "success");
    assert.equal(await allowUser(options), true);
    assert.equal((await erased.among([MARKED])).size, 0);
    const applied = await applyTombstones({ stores: all, clock: systemClock, log });
    assert.deepEqual(applied, { users: 0, lacking: [], foreign: 0 });
  }));

Deno.test("rows that are written while their user is erased are refused or removed, whichever comes first", () =>
  withMarkedUser(async (flow) => {
    const all = stores(flow);
    const { analytics } = all;
    const erased = new ErasedUsers(analytics);
    const rows = [event({ user_id: MARKED }), event({ user_id: "other" })];
    const undo = (user_ids: string[]) => analytics.deleteUsers({ user_ids });
    // The erasure begins and ends between the check and the write.
    const { refused } = await erased.write(rows, {
      write: async (events) => {
        assert.equal(events.length, 2);
        await eraseUsers({ stores: all, clock: systemClock, user_ids: [MARKED], log });
        return await analytics.upsertEvents({ events });
      },
      undo,
    });
    assert.deepEqual([...refused], [MARKED]);
    const left = () => analytics.eventPage({ user_id: MARKED, after: null, limit: 9 });
    assert.deepEqual(await left(), []);
    const write = (events: readonly typeof rows[number][]) => analytics.upsertEvents({ events });
    const { result, refused: before } = await erased.write(rows, { write, undo });
    assert.deepEqual([...before], [MARKED]);
    assert.deepEqual(result, { inserted: 0, changed: 0, same: 1 });
    assert.deepEqual(await left(), []);
  }));

Deno.test("tombstones by another secret are counted, and applied to no user", () =>
  withMarkedUser(async (flow) => {
    await flow.services.documents.tombstones.add({ hashes: ["0badc0de.1234"] });
    const applied = await applyTombstones({ stores: stores(flow), clock: systemClock, log });
    assert.deepEqual(applied, { users: 0, lacking: [], foreign: 1 });
    assert.deepEqual(await flow.services.graph.tombstones.page({ after: null, limit: 9 }), []);
    await withStores(flow.config, async (again) => {
      assert.deepEqual(
        (await applyTombstones({ stores: stores(again), clock: systemClock, log })).foreign,
        1,
      );
    });
  }));
