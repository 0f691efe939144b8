import assert from "node:assert/strict";
import { ParleyError } from "../../../lib/core/errors.ts";
import { expandSources, SourceError } from "../../../lib/sources/source.ts";

async function inFolder(files: readonly string[], body: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    for (const file of files) {
      await Deno.mkdir(`${dir}/${file}`.replace(/\/[^/]*$/, ""), { recursive: true });
      await Deno.writeTextFile(`${dir}/${file}`, "[]");
    }
    await body(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("expandSources() lists a folder's JSON files in the order of their paths, without hidden ones", () =>
  inFolder(
    [
      "b.json",
      "a.ndjson.gz",
      "c.jsonl",
      "notes.txt",
      ".d.json",
      "sub/e.JSON",
      ".git/f.json",
      "g.json.bak",
      "h.gz",
    ],
    async (dir) => {
      const found = await expandSources({ paths: [dir] });
      const names = found.map(({ uri }) => uri.slice(dir.length));
      assert.deepEqual(names, ["/a.ndjson.gz", "/b.json", "/c.jsonl", "/sub/e.JSON"]);
      assert.deepEqual(new Set(found.map(({ bytes }) => bytes)), new Set([2]));
    },
  ));

Deno.test("expandSources() takes a file whatever its name, each source once, and - for stdin", () =>
  inFolder(["a.json", "rows.txt"], async (dir) => {
    const found = await expandSources({ paths: [`${dir}/rows.txt`, "-", `${dir}/a.json`, dir, "-"] });
    assert.deepEqual(found, [
      { uri: `${dir}/rows.txt`, bytes: 2 },
      { uri: "stdin", bytes: null },
      { uri: `${dir}/a.json`, bytes: 2 },
    ]);
  }));

Deno.test("expandSources() says in a sentence what is wrong with a path", () =>
  inFolder(["notes.txt"], async (dir) => {
    const fails = async (path: string, code: string, message: RegExp) => {
      await assert.rejects(expandSources({ paths: [path] }), (error) => {
        assert.ok(error instanceof SourceError && error instanceof ParleyError);
        assert.equal(error.code, code);
        assert.match(error.message, message);
        return true;
      });
    };
    await fails(`${dir}/none.json`, "not_found", /none\.json does not exist$/);
    await fails(dir, "not_found", /holds no \.json, \.jsonl or \.ndjson file, plain or \.gz$/);
  }));
