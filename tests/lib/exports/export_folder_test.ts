import assert from "node:assert/strict";
import { FILE_MODE } from "../../../lib/core/file_modes.ts";
import { type ExportFormat, headerOf, linesOf } from "../../../lib/exports/answer_lines.ts";
import { ExportFolder } from "../../../lib/exports/export_folder.ts";
import { answer, item } from "./samples.ts";

async function withFolder(body: (exports: ExportFolder, dir: string) => Promise<void>): Promise<void> {
  const root = await Deno.makeTempDir();
  try {
    await body(new ExportFolder(`${root}/exports`), `${root}/exports`);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

const namesIn = (dir: string) => [...Deno.readDirSync(dir)].map(({ name }) => name).sort();

async function write(exports: ExportFolder, run_id: string, format: ExportFormat, users: readonly string[]) {
  const file = (await exports.open({ run_id, format, bytes: 0 }))!;
  const lines = users.map((user_id) => linesOf(answer(user_id, [item("k"), item("l")]), format));
  await file.append(headerOf(format) + lines.join(""));
  await file.finish();
  file.close();
  return file.path;
}

Deno.test("ExportFolder.open() continues a file after the bytes that were known to be whole", () =>
  withFolder(async (exports, dir) => {
    const options = { run_id: "a/b", format: "ndjson" } as const;
    const first = (await exports.open({ ...options, bytes: 0 }))!;
    const bytes = await first.append("é one\n");
    await first.append("half of tw");
    first.close();
    assert.deepEqual(namesIn(dir), ["a%2Fb.ndjson.part"]);
    const second = (await exports.open({ ...options, bytes }))!;
    assert.equal(await second.append("two\n"), bytes + 4);
    await second.finish();
    second.close();
    assert.equal(await Deno.readTextFile(second.path), "é one\ntwo\n");
    assert.equal((await Deno.stat(second.path)).mode! & 0o777, FILE_MODE);
    assert.equal(second.path, `${dir}/a%2Fb.ndjson`);
  }));

Deno.test("ExportFolder.open() gives null for a file that is gone or shorter, and finish() is a conflict then", () =>
  withFolder(async (exports) => {
    const options = { run_id: "r", format: "csv" } as const;
    assert.equal(await exports.open({ ...options, bytes: 5 }), null);
    const file = (await exports.open({ ...options, bytes: 0 }))!;
    await file.append("one\n");
    assert.equal(await exports.open({ ...options, bytes: 5 }), null);
    assert.equal(await exports.deleteUsers({ user_ids: ["u"] }), 1);
    await assert.rejects(file.finish(), { code: "conflict" });
    file.close();
  }));

Deno.test("ExportFolder.deleteUsers() takes out the lines of these users and no others, in both formats", () =>
  withFolder(async (exports, dir) => {
    const users = ["ann", 'b"o,b', "anna", "zoë"];
    const paths = [
      await write(exports, "one", "ndjson", users),
      await write(exports, "two", "csv", users),
      await write(exports, "three", "csv", ["anna"]),
    ];
    await Deno.writeTextFile(`${dir}/notes.txt`, "ann");
    const untouched = await Deno.stat(paths[2]!);
    assert.equal(await exports.deleteUsers({ user_ids: ["ann", 'b"o,b'] }), 2);
    assert.deepEqual(namesIn(dir), ["notes.txt", "one.ndjson", "three.csv", "two.csv"]);
    const kept = (format: ExportFormat) =>
      headerOf(format) +
      ["anna", "zoë"].map((user_id) => linesOf(answer(user_id, [item("k"), item("l")]), format)).join("");
    assert.equal(await Deno.readTextFile(paths[0]!), kept("ndjson"));
    assert.equal(await Deno.readTextFile(paths[1]!), kept("csv"));
    assert.equal((await Deno.stat(paths[2]!)).ino, untouched.ino);
    assert.equal((await Deno.stat(paths[0]!)).mode! & 0o777, FILE_MODE);
    assert.equal(await exports.deleteUsers({ user_ids: ["ann"] }), 0);
  }));

Deno.test("ExportFolder.prune() removes old files, finished or not, and none that is not an export", () =>
  withFolder(async (exports, dir) => {
    assert.equal(await exports.prune({ before: "2027-01-01T00:00:00.000Z" }), 0, "without a folder");
    const old = await write(exports, "old", "ndjson", ["u"]);
    await write(exports, "new", "ndjson", ["u"]);
    const part = (await exports.open({ run_id: "part", format: "csv", bytes: 0 }))!;
    part.close();
    await Deno.writeTextFile(`${dir}/notes.txt`, "");
    for (const path of [old, `${part.path}.part`, `${dir}/notes.txt`]) {
      await Deno.utime(path, new Date(0), new Date(0));
    }
    assert.equal(await exports.prune({ before: "2020-01-01T00:00:00.000Z" }), 2);
    assert.deepEqual(namesIn(dir), ["new.ndjson", "notes.txt"]);
  }));
