import assert from "node:assert/strict";
import { backup } from "../../commands/backup.ts";
import { restore } from "../../commands/restore.ts";
import { loadConfig } from "../../lib/config.ts";
import { systemClock } from "../../lib/core/clock.ts";
import { ErasedUsers } from "../../lib/privacy/erased_users.ts";
import { eraseUsers } from "../../lib/privacy/erase_users.ts";
import { setPreferences } from "../../lib/privacy/preferences.ts";
import { readUser } from "../../lib/privacy/read_user.ts";
import { MemoryCache } from "../../lib/stores/cache/memory/memory_cache.ts";
import { copyFolder, digests, type Flow, flowTemplate, runDag, withStores } from "../fixtures/flow.ts";
import { countTraces, MARKED, plantMarkedUser, tracesToSearch } from "../fixtures/marked_user.ts";
import { quietly } from "../fixtures/quietly.ts";

/** A user who does not want personalisation since the backup was made. */
const UNPROFILED = "jonas-ekdahl";

const withMarkedUser = flowTemplate(plantMarkedUser);

async function erase({ services }: Flow): Promise<void> {
  const stores = { ...services, cache: new MemoryCache({ max_bytes: 1_000 }) };
  await eraseUsers({ stores, clock: systemClock, user_ids: [MARKED], log: () => {} });
}

/** A flow whose user is in a backup, and erased since then; no process has its stores open. */
function withBackup(
  body: (
    options: { config: Flow["config"]; copy: string; traces: Awaited<ReturnType<typeof tracesToSearch>> },
  ) => Promise<void>,
  { completed = true } = {},
): Promise<void> {
  return withMarkedUser(async (flow) => {
    const copy = `${flow.input}/backup`;
    const traces = await tracesToSearch(flow);
    assert.equal((await quietly(() => backup(flow.config, copy))).value, 0);
    await erase(flow);
    const preferences = { personalisation: false };
    await setPreferences({ stores: flow.services, user_id: UNPROFILED, preferences, log: () => {} });
    if (completed) assert.equal((await runDag(flow, "erase", {})).outcome, "success");
    // The stores of this flow stay open: the restore has files of its own.
    const moved = await Deno.makeTempDir();
    try {
      copyFolder(flow.config.data, `${moved}/data`);
      await body({ config: configOf(moved), copy, traces });
    } finally {
      await Deno.remove(moved, { recursive: true });
    }
  });
}

function configOf(folder: string): Flow["config"] {
  const env = {
    PARLEY_EMBEDDINGS: "test:64",
    PARLEY_INBOX: `${folder}/inbox`,
    PARLEY_DATA: `${folder}/data`,
  };
  return loadConfig(env, folder);
}

async function recordsIn(config: Flow["config"]): Promise<string[]> {
  return await withStores(config, async ({ services, runs }) => {
    const found = await Array.fromAsync(readUser({ stores: { ...services, runs }, user_id: MARKED }));
    return found.filter(({ kind }) => kind !== "preferences").map(({ store, kind }) => `${store} ${kind}`);
  });
}

for (const completed of [true, false]) {
  const when = completed ? "" : ", also if the erasure was not completed";
  Deno.test(`a restored backup has nothing of a user who was erased since, in no byte, and later wishes${when}`, () =>
    withBackup(async ({ config, copy, traces }) => {
      for (const _ of [1, 2]) {
        const { value: code, said } = await quietly(() => restore(config, copy));
        assert.equal(code, 0, said.join("\n"));
        assert.deepEqual(await recordsIn(config), []);
        const left = countTraces(config.data, traces);
        assert.equal(Object.values(left).reduce((sum, count) => sum + count, 0), 0, JSON.stringify(left));
      }
      await withStores(config, async ({ services }) => {
        assert.deepEqual([...await new ErasedUsers(services.analytics).among([MARKED])], [MARKED]);
        assert.ok((await services.documents.counts()).messages > 100);
        assert.deepEqual(await services.analytics.optedOut({ user_ids: [UNPROFILED, "pip-longstaff"] }), [
          UNPROFILED,
        ]);
        assert.equal(await services.analytics.profileWords({ user_id: UNPROFILED }), null);
        assert.ok(await services.analytics.profileWords({ user_id: "pip-longstaff" }));
        for (const store of [services.documents, services.graph]) {
          assert.equal((await store.tombstones.page({ after: null, limit: 9 })).length, 1);
        }
      });
    }, { completed }));
}

Deno.test("restore() changes nothing if the backup is damaged or incomplete, or a process uses the stores", () =>
  withBackup(async ({ config, copy }) => {
    const before = await withStores(config, digests);
    const refused = async (code: string, message: RegExp) => {
      await assert.rejects(
        quietly(() => restore(config, copy)),
        (error: { code?: string; message?: string }) => {
          assert.equal(error.code, code);
          assert.match(error.message!, message);
          return true;
        },
      );
      assert.deepEqual(await withStores(config, digests), before);
    };
    const graph = Deno.readFileSync(`${copy}/graph.db`);
    Deno.writeFileSync(`${copy}/graph.db`, graph.map((byte, at) => at > 4_096 && at < 12_288 ? 0x55 : byte));
    await refused("unavailable", /graph\.db is damaged/);
    Deno.removeSync(`${copy}/graph.db`);
    await refused("invalid", /no whole backup: it has no graph\.db/);
    Deno.writeFileSync(`${copy}/graph.db`, graph);
    await withStores(config, async () => {
      await assert.rejects(quietly(() => restore(config, copy)), { code: "conflict" });
    });
    assert.deepEqual(await withStores(config, digests), before);
    const { value: code } = await quietly(() => restore(config, copy));
    assert.equal(code, 0);
  }));
