import assert from "node:assert/strict";
import { Bloom } from "../../../lib/stores/artifacts/bloom.ts";
import { FileArtifacts } from "../../../lib/stores/artifacts/files/file_artifacts.ts";
import { artifactsContract } from "../../contracts/artifacts.ts";

async function open() {
  const dir = await Deno.makeTempDir();
  const store = new FileArtifacts({ dir: `${dir}/artifacts` });
  const close = async () => {
    await store.close();
    await Deno.remove(dir, { recursive: true });
  };
  return { dir, store, close };
}

artifactsContract("FileArtifacts", open);

async function* from(lines: Iterable<string>): AsyncGenerator<string> {
  yield* lines;
}

Deno.test("FileArtifacts compresses what it writes, and still reads and cleans what was written as plain text", async () => {
  const { dir, store, close } = await open();
  const lines = Array.from({ length: 20_000 }, (_, at) => `{"id":${at},"text":"é words as they are said"}`);
  const { uri, bytes } = await store.writeLines({ name: "run/embed/new", lines: from(lines) });
  assert.ok(5 * Deno.statSync(`${dir}/artifacts/run/embed/new`).size < bytes);
  assert.deepEqual(await Array.fromAsync(store.readLines({ uri })), lines);
  for (const kept of [lines, ["x"], []]) {
    Deno.writeTextFileSync(`${dir}/artifacts/run/embed/old`, kept.map((line) => line + "\n").join(""));
    assert.deepEqual(await Array.fromAsync(store.readLines({ uri: "artifact:run/embed/old" })), kept);
  }
  Deno.writeTextFileSync(`${dir}/artifacts/run/embed/old`, "a\nb\n");
  assert.equal(await store.removeLines({ matches: (line) => line === "a" || line === lines[7] }), 2);
  assert.deepEqual(await Array.fromAsync(store.readLines({ uri: "artifact:run/embed/old" })), ["b"]);
  assert.equal((await Array.fromAsync(store.readLines({ uri }))).length, lines.length - 1);
  await close();
});

Deno.test("FileArtifacts refuses a damaged artifact as invalid", async () => {
  const { dir, store, close } = await open();
  const { uri } = await store.writeLines({ name: "run/embed/part", lines: from(["some", "lines"]) });
  const path = `${dir}/artifacts/run/embed/part`;
  const whole = Deno.readFileSync(path);
  for (
    const damaged of [whole.slice(0, -1), whole.with(20, whole[20]! ^ 255), new Uint8Array([...whole, 1])]
  ) {
    Deno.writeFileSync(path, damaged);
    await assert.rejects(Array.fromAsync(store.readLines({ uri })), { code: "invalid" });
  }
  await close();
});

Deno.test("FileArtifacts names artifacts without the machine's paths", async () => {
  const { store, close } = await open();
  const { uri } = await store.writeLines({ name: "manual:1+2/ingest/rows.ndjson", lines: from(["x"]) });
  assert.equal(uri, "artifact:manual%3A1%2B2/ingest/rows.ndjson");
  await close();
});

Deno.test("FileArtifacts writes, reads and deletes nothing outside its folder", async () => {
  const { dir, store, close } = await open();
  await Deno.writeTextFile(`${dir}/secret`, "secret");
  const { uri } = await store.writeLines({ name: "../../secret", lines: from(["mine"]) });
  for (const same of [uri, "artifact:../../secret", "artifact:%2E%2E/%2e%2e/secret"]) {
    assert.deepEqual(await Array.fromAsync(store.readLines({ uri: same })), ["mine"]);
  }
  await assert.rejects(Array.fromAsync(store.readLines({ uri: "artifact:a/..%2F..%2F../secret" })));
  await assert.rejects(store.deleteRun({ run_id: "" }), { code: "invalid" });
  assert.equal(await store.deleteRun({ run_id: ".." }), 1);
  assert.equal(await Deno.readTextFile(`${dir}/secret`), "secret");
  await close();
});

Deno.test("FileArtifacts refuses a URI of another store or with broken escapes as invalid", async () => {
  const { store, close } = await open();
  for (const uri of ["s3://bucket/a/b/c", "artifact:a/b", "artifact:%/b/c"]) {
    await assert.rejects(Array.fromAsync(store.readLines({ uri })), { code: "invalid" });
  }
  await close();
});

Deno.test("FileArtifacts leaves no register behind, and removes one that was left", async () => {
  const { dir, store, close } = await open();
  await Deno.mkdir(`${dir}/artifacts`);
  await Deno.writeTextFile(`${dir}/artifacts/.register-left`, "");
  const register = await store.register();
  register.putIfAbsent("a", "1");
  register.close();
  assert.deepEqual([...Deno.readDirSync(`${dir}/artifacts`)], []);
  await close();
});

Deno.test("FileArtifacts.prune() takes unfinished files and empty folders with it", async () => {
  const { dir, store, close } = await open();
  await store.writeLines({ name: "run/task/file", lines: from(["x"]) });
  await Deno.writeTextFile(`${dir}/artifacts/run/task/.unfinished`, "x");
  assert.equal(await store.prune({ before: new Date(Date.now() + 1_000).toISOString() }), 1);
  assert.deepEqual([...Deno.readDirSync(`${dir}/artifacts`)], []);
  await close();
});

Deno.test("Bloom forgets nothing and takes few strangers for members", () => {
  const bloom = new Bloom();
  const count = 200_000;
  let wrong = 0;
  for (let n = 0; n < count; n++) if (bloom.addedBefore(`m${n}`)) wrong++;
  for (let n = 0; n < count; n++) assert.ok(bloom.addedBefore(`m${n}`));
  assert.ok(wrong < count / 1_000, `${wrong} of ${count} strangers were taken for members`);
});
