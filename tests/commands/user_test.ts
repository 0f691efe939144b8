import assert from "node:assert/strict";
import { run, runHere } from "../fixtures/commands.ts";
import { countTraces } from "../fixtures/marked_user.ts";
import { Buffer } from "node:buffer";

const ANN = "ann-of-the-command";

/** A data folder with messages and events of two users. */
async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    const at = "2026-05-01T10:00:00Z";
    const rows = [ANN, "bob"].flatMap((user_id) => [
      { user_id, message: `boots for ${user_id}`, timestamp: at },
      { user_id, message: `no time ${user_id}` },
    ]);
    const events = [ANN, "bob"].map((user_id) => ({
      user_id,
      campaign_id: "k",
      type: "click",
      timestamp: at,
    }));
    const write = (name: string, rows: unknown[]) =>
      Deno.writeTextFileSync(`${folder}/${name}`, rows.map((row) => JSON.stringify(row)).join("\n"));
    write("messages.ndjson", rows);
    write("events.ndjson", events);
    write("campaigns.ndjson", [{ campaign_id: "k", title: "Boots" }]);
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The arguments that load them. */
const load = (folder: string) => [
  "pipeline",
  ...["messages", "events", "campaigns"].flatMap((kind) => [`--${kind}`, `${folder}/${kind}.ndjson`]),
];

Deno.test("deno task user shows, changes, erases and allows a user, with the permissions of the task", () =>
  inFolder(async (folder) => {
    const env = { PARLEY_MAX_BAD_SHARE: "0.9" };
    const loaded = await runHere(folder, load(folder), { env });
    assert.equal(loaded.code, 0, loaded.stderr);
    const user = (...args: string[]) => run(folder, "user", ["user", ...args]);
    // What was run with these permissions once.
    const userHere = (...args: string[]) => runHere(folder, ["user", ...args]);
    const show = async (command = userHere) => {
      const { code, stdout, stderr } = await command("show", ANN);
      assert.equal(code, 0, stderr);
      return stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
    };
    const stored = await show(user);
    assert.ok(
      stored.some(({ kind }) => kind === "message") && stored.some(({ kind }) => kind === "profiles"),
    );
    const off = await user("preferences", ANN, "--personalisation", "off");
    assert.equal(off.code, 0, off.stderr);
    assert.match(off.stdout, /popular answers/);
    assert.ok(!(await show()).some(({ kind }) => kind === "profiles"));
    const erased = await user("erase", ANN, "--json");
    assert.equal(erased.code, 0, erased.stderr);
    const { state, dag_id } = JSON.parse(erased.stdout.slice(erased.stdout.indexOf("{")));
    assert.deepEqual({ state, dag_id }, { state: "success", dag_id: "erase" });
    assert.deepEqual(await show(), [{
      store: "analytics",
      kind: "preferences",
      row: { personalisation: true },
    }]);
    const left = countTraces(`${folder}/.parley`, [Buffer.from(ANN)]);
    assert.equal(Object.values(left).reduce((sum, count) => sum + count, 0), 0, JSON.stringify(left));
    const nothing = await userHere("erase");
    assert.deepEqual([nothing.code, nothing.stdout], [0, "No erasure is pending.\n"]);
    const on = await userHere("preferences", ANN, "--personalisation", "on");
    assert.notEqual(on.code, 0);
    assert.match(on.stderr, /erased/);
    assert.match((await user("allow", ANN)).stdout, /taken again/);
    assert.match((await userHere("allow", ANN)).stdout, /not erased/);
    const again = await runHere(folder, [...load(folder), "--all"], { env });
    assert.equal(again.code, 0, again.stderr);
    assert.ok((await show()).some(({ kind }) => kind === "message"));
  }));

Deno.test("deno task user refuses ids and values that are wrong", async () => {
  const folder = await Deno.makeTempDir();
  for (const args of [["show", " "], ["erase", "a\tb"], ["preferences", "a", "--personalisation", "maybe"]]) {
    const { code, stderr } = await runHere(folder, ["user", ...args]);
    assert.equal(code, 2, stderr);
  }
  await Deno.remove(folder, { recursive: true });
});
