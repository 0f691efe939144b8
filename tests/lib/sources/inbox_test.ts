import assert from "node:assert/strict";
import { hashSource } from "../../../lib/sources/source_bytes.ts";
import { inboxFiles } from "../../../lib/sources/inbox.ts";
import { readRows } from "../../../lib/sources/source_rows.ts";
import { expandSources } from "../../../lib/sources/expand_sources.ts";

const SECRET = '{"secret": 1}\n';
const signal = new AbortController().signal;

/** Runs a test with an inbox that has one file and one folder with a file, next to a secret that is not one of its files. */
function test(name: string, body: (options: { inbox: string; secret: string }) => Promise<void>): void {
  Deno.test(name, async () => {
    const dir = await Deno.realPath(await Deno.makeTempDir());
    const [inbox, secret] = [`${dir}/inbox`, `${dir}/secret.ndjson`];
    try {
      await Deno.mkdir(`${inbox}/sub`, { recursive: true });
      await Deno.writeTextFile(secret, SECRET);
      await Deno.writeTextFile(`${inbox}/a.ndjson`, "{}\n");
      await Deno.writeTextFile(`${inbox}/sub/b.ndjson`, "{}\n");
      await body({ inbox, secret });
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  });
}

async function rowsOf(path: string, inbox: string): Promise<string[]> {
  const { sources: [source] } = await expandSources({ paths: [path], inbox });
  return await Array.fromAsync(readRows(source!, { signal, maxBytes: 1e9 }));
}

test("inboxFiles() gives the sources right in the folder, and no link", async ({ inbox, secret }) => {
  for (const name of [".hidden.ndjson", "notes.txt"]) await Deno.writeTextFile(`${inbox}/${name}`, "{}");
  await Deno.writeTextFile(`${inbox}/B.JSON.gz`, "");
  await Deno.symlink(secret, `${inbox}/link.ndjson`);
  await Deno.symlink("nowhere", `${inbox}/dangling.ndjson`);
  assert.deepEqual(await inboxFiles(inbox), [`${inbox}/B.JSON.gz`, `${inbox}/a.ndjson`]);
  assert.deepEqual(await inboxFiles(`${inbox}/none`), []);
});

test("a source in the inbox is read, in its folders too and through a link to the inbox", async ({ inbox }) => {
  for (const path of [`${inbox}/a.ndjson`, `${inbox}/sub/b.ndjson`, `${inbox}/sub`]) {
    assert.deepEqual(await rowsOf(path, inbox), ["{}"]);
  }
  await Deno.symlink(inbox, `${inbox}-link`);
  assert.deepEqual(await rowsOf(`${inbox}-link/a.ndjson`, `${inbox}-link`), ["{}"]);
});

test("a link in the inbox is not followed, wherever on the way it is", async ({ inbox, secret }) => {
  await Deno.symlink(secret, `${inbox}/link.ndjson`);
  await Deno.symlink(secret.replace(/\/[^/]*$/, ""), `${inbox}/up`);
  for (const path of [`${inbox}/link.ndjson`, `${inbox}/up/secret.ndjson`, `${inbox}/../secret.ndjson`]) {
    const refused = {
      name: "SourceError",
      code: "denied",
      message: /links in PARLEY_INBOX are not followed/,
    };
    await assert.rejects(rowsOf(path, inbox), refused);
    await assert.rejects(
      hashSource({ uri: path, bytes: 1, within: inbox }, { signal, maxBytes: 1e9 }),
      refused,
    );
  }
  assert.deepEqual(await rowsOf(secret, inbox), [SECRET.trim()], "elsewhere the operator's word counts");
});

test("a name that is exchanged for a link meanwhile never leads out", async ({ inbox, secret }) => {
  const path = `${inbox}/a.ndjson`;
  const code = `
    const [path, secret] = Deno.args;
    for (;;) {
      for (const [make, to] of [[Deno.linkSync, path + ".own"], [Deno.symlinkSync, secret]]) {
        make(to, path + ".next");
        Deno.renameSync(path + ".next", path);
      }
    }`;
  await Deno.copyFile(path, `${path}.own`);
  const swapper = new Deno.Command(Deno.execPath(), {
    args: ["eval", code, path, secret],
    stdout: "null",
    stderr: "null",
  }).spawn();
  const outcomes = { read: 0, refused: 0 };
  try {
    const until = Date.now() + 20_000;
    while (Date.now() < until && (outcomes.read < 200 || outcomes.refused < 200)) {
      const rows = await Array.fromAsync(
        readRows({ uri: path, bytes: 3, within: inbox }, { signal, maxBytes: 1e9 }),
      ).catch(
        (error) => (assert.equal(error.name, "SourceError"), null),
      );
      assert.ok(rows === null || rows[0] === "{}", "the secret was read");
      outcomes[rows === null ? "refused" : "read"]++;
    }
  } finally {
    swapper.kill();
    await swapper.status;
  }
  assert.ok(outcomes.read > 0 && outcomes.refused > 0, JSON.stringify(outcomes));
});
