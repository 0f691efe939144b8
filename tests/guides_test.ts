/** Follows the guides step by step in a copy of the repository: creates the files, makes the changes, runs the tests. */
import assert from "node:assert/strict";
import { ROOT } from "./fixtures/flow.ts";

/** What a guide's steps need of the repository. */
const PARTS = [
  "commands",
  "lib",
  "models",
  "routes",
  "sample",
  "tasks",
  "tests",
  "tools",
  "deno.json",
  "deno.lock",
  "deps.ts",
  "edge.ts",
  "main.ts",
];

/** The text of each fenced block of a language, in order. */
function blocks(guide: string, language: string): string[] {
  return [...guide.matchAll(new RegExp(`^\`\`\`${language}\n([^]*?)^\`\`\`$`, "gm"))].map(([, text]) =>
    text!
  );
}

/** Creates each file that a block names in its first line. */
function createFiles(root: string, guide: string): string[] {
  return blocks(guide, "ts").map((text) => {
    const path = /^\/\/ (\S+\.ts)\n/.exec(text)?.[1];
    assert.ok(path, "each block of code begins with its path");
    Deno.mkdirSync(`${root}/${path.slice(0, path.lastIndexOf("/"))}`, { recursive: true });
    Deno.writeTextFileSync(`${root}/${path}`, text.slice(text.indexOf("\n") + 1));
    return path;
  });
}

/** Makes the change of each block, unless this copy has it already: the lines around it and those taken out are there once. */
function changeFiles(root: string, guide: string): string[] {
  return [...guide.matchAll(/^In `(\S+)`:\n([^]*?)(?=^In `|^## |$(?![^]))/gm)].map(([, path, part]) => {
    for (const block of blocks(part!, "diff")) {
      const lines = (signs: string) =>
        block.split("\n").filter((line) => line !== "" && signs.includes(line[0]!))
          .map((line) => `${line.slice(1)}\n`).join("");
      const text = Deno.readTextFileSync(`${root}/${path}`);
      if (text.includes(lines("+"))) continue;
      const before = lines(" -");
      assert.equal(text.split(before).length, 2, `${path} has once: ${before}`);
      Deno.writeTextFileSync(`${root}/${path}`, text.replace(before, () => lines(" +")));
    }
    return path!;
  });
}

async function deno(cwd: string, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args,
    cwd,
    env: { NO_COLOR: "1", PARLEY_EMBEDDINGS: "test:64", PARLEY_DAGS: `${cwd}/dags` },
  }).output();
  const text = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  assert.equal(code, 0, `deno ${args.join(" ")}\n${text}`);
  return text;
}

const GUIDES = [["own_dag", 2], ["own_store", 14]] as const;

Deno.test("docs/own_dag.md and docs/own_store.md work as written, with `dag new` and `dag test`, and their tests pass", async () => {
  const root = await Deno.makeTempDir({ prefix: "parley-guide-" });
  try {
    await Deno.mkdir(`${root}/docs`);
    for (const part of PARTS) await copy(`${ROOT}${part}`, `${root}/${part}`);
    const followed = GUIDES.map(([name, tests]) => {
      const guide = Deno.readTextFileSync(`${ROOT}docs/${name}.md`);
      const created = createFiles(root, guide);
      const changed = changeFiles(root, guide);
      assert.ok(created.length > 1, name);
      return { created, changed, tests };
    });
    const files = [...new Set(followed.flatMap(({ created, changed }) => [...created, ...changed]))];
    await deno(root, "fmt", "--check", ...files);
    await deno(root, "lint", ...files);
    await deno(root, "check", ...files);
    await deno(root, "test", "--allow-read", "--no-check", "tests/architecture_test.ts");
    await deno(root, "task", "dag", "new", "first");
    assert.match(await deno(root, "task", "dag", "test", "dags/unseen.ts"), /unseen: success/);
    assert.match(await deno(root, "task", "dag", "test", "dags/categories.ts"), /categories: success/);
    Deno.writeTextFileSync(`${root}/dags/wrong.ts`, 'export const days: number = "seven";');
    await assert.rejects(() => deno(root, "task", "dag", "test", "dags/wrong.ts"), /TS2322/);
    for (const { created, tests } of followed) {
      const written = created.filter((path) => path.endsWith("_test.ts"));
      const said = await deno(root, "test", "--allow-all", "--no-check", ...written);
      const [, passed, rest] = /^ok \| (\d+) passed \| (.*)$/m.exec(said) ?? [];
      assert.ok(Number(passed) >= tests && /^0 failed \(/.test(rest!), said);
    }
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});

async function copy(from: string, to: string): Promise<void> {
  if (from.endsWith("/models")) return await Deno.symlink(from, to);
  if (!(await Deno.stat(from)).isDirectory) return await Deno.copyFile(from, to);
  await Deno.mkdir(to);
  for await (const { name } of Deno.readDir(from)) await copy(`${from}/${name}`, `${to}/${name}`);
}
