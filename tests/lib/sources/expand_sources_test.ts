import assert from "node:assert/strict";
import { expandSources } from "../../../lib/sources/expand_sources.ts";
import { asSourceError, SourceError } from "../../../lib/sources/source.ts";
import { asAnyUser } from "../../fixtures/any_user.ts";
import { ROOT } from "../../fixtures/flow.ts";

/** Files by their paths in a folder; a path that ends in " -> x" is a link to x. */
async function inFolder(files: readonly string[], body: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    for (const file of files) {
      const [path, target] = `${dir}/${file}`.split(" -> ");
      await Deno.mkdir(path!.replace(/\/[^/]*$/, ""), { recursive: true });
      if (target === undefined) await Deno.writeTextFile(path!, "[]");
      else await Deno.symlink(target, path!);
    }
    await body(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** What expands from paths, without the folder's own. */
async function expanded(dir: string, paths: readonly string[] = [dir]) {
  const { sources, failed, notes } = await expandSources({ paths });
  const short = (text: string) => text.replaceAll(`${dir}/`, "");
  return {
    sources: sources.map(({ uri }) => short(uri)),
    failed: failed.map(({ message }) => short(message)),
    notes: notes.map(short),
  };
}

Deno.test("expandSources() lists a folder's JSON files in the order of their paths, without hidden ones, and names others", () =>
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
      const { sources: found, failed, notes } = await expandSources({ paths: [dir] });
      assert.deepEqual(failed, []);
      assert.deepEqual(notes, [
        `not read of ${dir}: 3 files whose name does not end in .json, .jsonl, .ndjson, .csv or .tsv (plain or .gz), ` +
        `such as ${dir}/g.json.bak`,
      ]);
      const names = found.map(({ uri }) => uri.slice(dir.length));
      assert.deepEqual(names, ["/a.ndjson.gz", "/b.json", "/c.jsonl", "/sub/e.JSON"]);
      assert.deepEqual(new Set(found.map(({ bytes }) => bytes)), new Set([2]));
    },
  ));

Deno.test("expandSources() takes a file whatever its name, each source once, and - for stdin", () =>
  inFolder(["a.json", "rows.txt"], async (dir) => {
    const { sources } = await expandSources({ paths: [`${dir}/rows.txt`, "-", `${dir}/a.json`, dir, "-"] });
    assert.deepEqual(sources, [
      { uri: `${dir}/rows.txt`, bytes: 2 },
      { uri: "stdin", bytes: null },
      { uri: `${dir}/a.json`, bytes: 2 },
    ]);
  }));

Deno.test("expandSources() reports the error of a path in a sentence, and takes the others", () =>
  inFolder(["notes.txt", "sub/a.json", "gone -> nowhere", "loop -> loop"], async (dir) => {
    const paths = [
      `${dir}/none.json`,
      `${dir}/notes`,
      `${dir}/gone`,
      `${dir}/loop`,
      "/dev/zero",
      `${dir}/sub`,
    ];
    await Deno.mkdir(`${dir}/notes`);
    const { sources, failed } = await expandSources({ paths });
    assert.deepEqual(sources.map(({ uri }) => uri), [`${dir}/sub/a.json`]);
    assert.deepEqual(failed.map(({ code, message }) => [code, message]), [
      ["not_found", `${dir}/none.json does not exist`],
      ["not_found", `${dir}/notes holds no .json, .jsonl, .ndjson, .csv or .tsv file, plain or .gz`],
      ["not_found", `${dir}/gone is a link to what does not exist`],
      ["invalid", `${dir}/loop is a link that leads back to itself`],
      ["invalid", "/dev/zero is a device: a source is a file, a folder, a pipe, or - for standard input"],
    ]);
    assert.ok(failed.every((error) => error instanceof SourceError));
  }));

Deno.test("expandSources() loses a dangling link, a pipe or a socket in a folder alone", () =>
  inFolder(["a.json", "b.json -> nowhere", "sub -> gone/sub", "z.json"], async (dir) => {
    await new Deno.Command("mkfifo", { args: [`${dir}/p.json`] }).output();
    using _listener = Deno.listen({ transport: "unix", path: `${dir}/s.json` });
    const found = await expanded(dir);
    assert.deepEqual(found.sources, ["a.json", "z.json"]);
    assert.deepEqual(found.failed.sort(), [
      "b.json is a link to what does not exist",
      "p.json is a pipe in a folder: give it as a source of its own",
      "s.json is a socket: a source is a file, a folder, a pipe, or - for standard input",
      "sub is a link to what does not exist",
    ]);
  }));

Deno.test("expandSources() follows links to files and folders, inside and outside", () =>
  inFolder(
    ["in/a.json", "in/b.json -> ../out/b.txt", "in/more -> ../out/c", "out/b.txt", "out/c/d.json"],
    async (dir) => {
      assert.deepEqual(await expanded(`${dir}/in`), {
        sources: ["a.json", "b.json", "more/d.json"],
        failed: [],
        notes: [],
      });
      assert.deepEqual((await expanded(`${dir}/in/more`)).sources, ["d.json"]);
    },
  ));

Deno.test("expandSources() takes what links lead to again once, by the name that is no link", () =>
  inFolder(
    ["today -> v2", "v1/a.json", "v2/b.json", "c.json", "latest.json -> c.json", "v1/v2 -> ../v2"],
    async (dir) => {
      const { notes, ...rest } = await expanded(dir);
      assert.deepEqual(rest, { sources: ["c.json", "v1/a.json", "v2/b.json"], failed: [] });
      assert.deepEqual(notes.sort(), [
        "latest.json is the same as c.json, which is read",
        "today is the same as v2, which is read",
        "v1/v2 is the same as v2, which is read",
      ]);
    },
  ));

Deno.test("expandSources() reports a link to a folder that contains it, and ends", () =>
  inFolder(
    ["a/b.json", "a/up -> .", "a/top -> ..", "a/root -> /", "x/back -> ../a", "a/there -> ../x"],
    async (dir) => {
      const { sources, failed, notes } = await expanded(`${dir}/a`);
      assert.deepEqual(sources, ["b.json"]);
      assert.deepEqual(
        failed.sort(),
        ["root", "top", "up"].map((link) => `${link} is a link to a folder that contains it`),
      );
      assert.deepEqual(notes, [`there/back is the same as ${dir}/a, which is read`]);
    },
  ));

Deno.test("expandSources() follows no link in the inbox, by whatever name that is reached", () =>
  inFolder(
    ["inbox/a.json", "inbox/b.json -> ../c.json", "inbox/up -> ../d", "c.json", "d/e.json"],
    async (dir) => {
      await Deno.symlink(`${dir}/inbox`, `${dir}/d/in`);
      for (const [path, uri] of [["inbox", "inbox"], ["d", "d/in"]] as const) {
        const { sources, failed } = await expandSources({ paths: [`${dir}/${path}`], inbox: `${dir}/inbox` });
        assert.ok(sources.some((source) => source.uri === `${dir}/${uri}/a.json`));
        assert.deepEqual(
          failed.map(({ message }) => message).sort(),
          ["b.json", "up"].map((name) =>
            `${dir}/${uri}/${name} is a link, and links in PARLEY_INBOX are not followed`
          ),
        );
      }
      const [source] = (await expandSources({ paths: [`${dir}/inbox`], inbox: `${dir}/inbox` })).sources;
      assert.equal(source!.within, `${dir}/inbox`);
    },
  ));

Deno.test("expandSources() reads names with a line feed, and reports names that are not UTF-8", () =>
  inFolder(["new\nline.json", "z.json"], async (dir) => {
    const script = 'echo "[]" > "$(printf "$1/caf\\351.json")"';
    await new Deno.Command("bash", { args: ["-c", script, "-", dir] }).output();
    await Deno.symlink("nowhere", `${dir}/two\nlines`);
    const { sources, failed } = await expanded(dir);
    assert.deepEqual(sources, ["new\nline.json", "z.json"]);
    assert.deepEqual(failed.sort(), [
      "caf\ufffd.json does not exist, or its name is not UTF-8 text: rename it",
      "two\\nlines is a link to what does not exist",
    ]);
  }));

Deno.test("expandSources() loses an unreadable sub-folder alone", () =>
  inFolder(["a.json", "sub/b.json"], async (dir) => {
    await Deno.chmod(`${dir}/sub`, 0o000);
    const script = `${ROOT}tests/fixtures/expand.ts`;
    const { stdout } = await asAnyUser(["deno", "run", "--quiet", "--no-check", "--allow-read", script, dir]);
    await Deno.chmod(`${dir}/sub`, 0o700);
    assert.deepEqual(JSON.parse(stdout), {
      sources: [`${dir}/a.json`],
      failed: [`${dir}/sub may not be read by the user that this process runs as`],
    });
  }));

Deno.test("asSourceError() distinguishes a permission that Deno lacks from one that the user lacks", () => {
  const denied = new Deno.errors.PermissionDenied("Permission denied (os error 13): open '/x'");
  assert.equal(
    asSourceError("/x", denied).message,
    "/x may not be read by the user that this process runs as",
  );
  const incapable = new Deno.errors.NotCapable(
    'Requires read access to "/x", run again with the --allow-read flag',
  );
  assert.match(
    asSourceError("/x", incapable).message,
    /^\/x may not be read by this process: Deno was started without --allow-read for it$/,
  );
  const broken = new Error("Input/output error (os error 5): open '/x'");
  assert.equal(asSourceError("/x", broken).message, "/x cannot be read: Input/output error (os error 5)");
});

Deno.test("expandSources() stops at its signal", () =>
  inFolder(["a.json"], async (dir) => {
    const signal = AbortSignal.abort(new RangeError("stop"));
    await assert.rejects(expandSources({ paths: [dir], signal }), /stop/);
  }));
