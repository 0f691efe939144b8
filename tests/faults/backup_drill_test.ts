/** A backup that the dag made is restored into an empty place, as after a disk is lost. */
import assert from "node:assert/strict";
import { openServing } from "../../commands/services.ts";
import { restore } from "../../commands/restore.ts";
import { type Config, loadConfig } from "../../lib/config.ts";
import { systemClock } from "../../lib/core/clock.ts";
import { createApp } from "../../routes/app.ts";
import { digests, flowTemplate, loadSample, runDag, withStores } from "../fixtures/flow.ts";
import { quietly } from "../fixtures/quietly.ts";

const withSample = flowTemplate(loadSample);

async function answersOf(config: Config): Promise<unknown[]> {
  const { value: stores, close } = await openServing(config);
  try {
    const app = await createApp({
      stores,
      clock: systemClock,
      version: "test",
      keys: [],
      answer_ms: 30_000,
      log: null,
    });
    return await Promise.all(["keziah-boateng", "graham-pellow", "nobody"].map(async (user) => {
      const { version, items, degraded } = await (await app.request(`/recommendations/${user}?k=10`)).json();
      return { version, items, degraded };
    }));
  } finally {
    await close();
  }
}

Deno.test("the dag backup keeps so many copies, and the newest restores digests and answers in an empty place", () =>
  withSample(async (flow) => {
    const folder = `${flow.config.data}/backups`;
    const config = { ...flow.config, backup_count: 2 };
    const outputs: unknown[] = [];
    for (let n = 0; n < 3; n++) {
      const { outcome, snapshot } = await runDag({ ...flow, config }, "backup", {});
      assert.equal(outcome, "success", snapshot.run.error ?? "");
      outputs.push(snapshot.tasks[0]!.output);
      // The dag does not touch a copy of the operator's own.
      Deno.mkdirSync(`${folder}/before-the-move`, { recursive: true });
    }
    assert.deepEqual(outputs.map((output) => (output as { removed: number }).removed), [0, 0, 1]);
    const copies = [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
    assert.deepEqual([copies.length, copies.at(-1)], [3, "before-the-move"]);
    const before = { digests: await digests(flow), answers: await answersOf(flow.config) };
    const place = loadConfig({ PARLEY_EMBEDDINGS: "test:64", PARLEY_DATA: `${flow.input}/elsewhere` });
    assert.equal((await quietly(() => restore(place, `${folder}/${copies[1]}`))).value, 0);
    const after = { digests: await withStores(place, digests), answers: await answersOf(place) };
    assert.deepEqual(after, before);
  }));
