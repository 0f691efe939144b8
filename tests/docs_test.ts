/** What the documents claim, as far as a machine can tell: names, defaults, permissions and links. */
import assert from "node:assert/strict";
import type { Command } from "../deps.ts";
import { program } from "../main.ts";
import { configurationPage, environmentExample, openApiFile } from "../tools/reference.ts";
import { NOW } from "./lib/recommend/world.ts";
import { appTest } from "./routes/app.ts";
import { addFailedRun } from "./routes/pages.ts";

const read = (path: string) => Deno.readTextFileSync(new URL(`../${path}`, import.meta.url));
const exists = (path: string) => {
  try {
    return Deno.statSync(new URL(`../${path}`, import.meta.url)) !== null;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
};
function* markdownBelow(folder: string): Generator<string> {
  for (const { name, isDirectory } of Deno.readDirSync(new URL(`../${folder}`, import.meta.url))) {
    if (isDirectory) yield* markdownBelow(`${folder}/${name}`);
    else if (name.endsWith(".md")) yield `${folder}/${name}`;
  }
}
const GUIDES = [...markdownBelow("docs")].sort();
const DOCUMENTS = [
  "README.md",
  "ARCHITECTURE.md",
  "CONTRIBUTING.md",
  "SECURITY.md",
  ".env.example",
  "sample/README.md",
  ...GUIDES,
];
/** What people read, as one text. */
const MANUAL = ["README.md", "ARCHITECTURE.md", ...GUIDES].map(read).join("\n\n");
const { tasks, imports }: {
  tasks: Record<string, { command: string; description: string }>;
  imports: Record<string, string>;
} = JSON.parse(read("deno.json"));
const PARLEY = program(() => {}, "");

/** What is between backticks. */
const wordsOf = (cell: string) => [...cell.matchAll(/`([^`]*)`/g)].map(([, text]) => text!);

const commandOf = (name: string, of: Command = PARLEY) => of.commands.find((one) => one.name() === name);
const PIPELINE = commandOf("pipeline")!;
const VERBS = PIPELINE.commands.map((one) => one.name());

Deno.test("each `deno task` that a document, a message or the help names exists", () => {
  const found = DOCUMENTS.map(read).concat(sources().map(read)).flatMap((text) => [
    ...text.matchAll(/deno task ([a-z][a-z:]*)/g),
  ]).map(([, name]) => name!);
  assert.deepEqual([...new Set(found)].filter((name) => !(name in tasks)), []);
  assert.ok(new Set(found).size >= 10);
});

function sources(): string[] {
  const files: string[] = ["main.ts"];
  const walk = (folder: string) => {
    for (const { name, isDirectory } of Deno.readDirSync(new URL(`../${folder}`, import.meta.url))) {
      if (isDirectory) walk(`${folder}/${name}`);
      else if (/\.tsx?$/.test(name)) files.push(`${folder}/${name}`);
    }
  };
  for (const folder of ["commands", "lib", "routes", "tasks"]) walk(folder);
  return files;
}

Deno.test("each verb of `pipeline` that a document or a message names exists, and the table of commands has all", () => {
  const dags = ["nightly", "reembed", "intents", "evaluate", "export", "DAG"];
  const isVerb = (word: string) => VERBS.includes(word) || dags.includes(word);
  const wrong = [...DOCUMENTS, ...sources()].flatMap((path) =>
    [...read(path).matchAll(/deno task pipeline ([a-z][a-z-]*)/g)].map(([, word]) => word!)
      .filter((word) => !isVerb(word)).map((word) => `${path}: ${word}`)
  );
  assert.deepEqual(wrong, []);
  const table = commandRows();
  const missing = VERBS.filter((verb) => !table.some((row) => verbsOf(row).includes(verb)));
  assert.deepEqual(missing, []);
  const named = PARLEY.commands.map((one) => one.name()).filter((name) =>
    !table.some((row) => row.includes(`deno task ${name}`))
  );
  assert.deepEqual(named, []);
});

/** `… pipeline list` · `show DAG` are list and show. */
function verbsOf(row: string): string[] {
  return wordsOf(row).map((text) => text.replace(/^(…|deno task) pipeline ?/, "").split(" ")[0] || "run");
}

/** The left cells of the table of commands. */
function commandRows(): string[] {
  return read("docs/commands.md").split("\n").filter((line) => /^\| `(deno task|…)/.test(line)).map((line) =>
    line.split(" | ")[0]!
  );
}

Deno.test("each option that README or docs name is one of a command, of Deno or of Docker", () => {
  const known = new Set<string>();
  const walk = (command: Command) => {
    for (const { long } of command.options) if (long) known.add(long);
    command.commands.forEach(walk);
  };
  walk(PARLEY);
  const isOthers = (option: string) => /^--(help|profile|quiet|read-only|tmpfs|allow-.*)$/.test(option);
  const named = [...MANUAL.matchAll(/(?<![\w-])--[a-z][a-z-]*/g)].map(([option]) => option);
  assert.deepEqual(
    [...new Set(named)].filter((option) => !known.has(option) && !isOthers(option)),
    [],
  );
  assert.ok(named.length > 10);
});

Deno.test("docs/configuration.md, .env.example and docs/openapi.json are what `deno task docs` writes", async () => {
  assert.equal(read("docs/configuration.md"), configurationPage());
  assert.equal(read(".env.example"), environmentExample());
  assert.equal(read("docs/openapi.json"), await openApiFile());
});

Deno.test("tasks have the permissions that docs/commands.md says", () => {
  const commands = Object.entries(tasks).map(([name, { command }]) => [name, command] as const)
    .filter(([, command]) => command.includes(" main.ts "));
  const writes = commands.map(([name, command]) => [name, /--allow-write\S*/.exec(command)?.[0]]);
  assert.match(
    read("docs/commands.md"),
    /The tasks that run Parley may\s+write `\.parley` only, except `backup`,\s+`export`,\s+`dag`\s+and\s+`airflow`\./,
  );
  assert.deepEqual(
    writes.filter(([, write]) => write !== "--allow-write=.parley"),
    ["export", "dag", "airflow", "backup"].map((name) => [name, "--allow-write"]),
  );
  assert.ok(commands.every(([, command]) => !/--allow-run(?!=deno)/.test(command)));
});

/** What the test's stores have for the names in a path. */
const IDS = [[":user_id", "u1"], [":campaign_id", "g1"], [":run_id", "r"]] as const;

appTest("each path that README or docs name is answered", async ({ app, world }) => {
  await addFailedRun(world.stores.runs, "r", NOW);
  const named = [...MANUAL.matchAll(/`?(GET|POST) (\/[\w/:.-]*)/g)];
  assert.ok(named.length > 8);
  for (const [, method, path] of named) {
    const { status } = await app.request(IDS.reduce((path, [name, id]) => path.replace(name, id), path!), {
      method: method!,
    });
    assert.ok(status !== 404 && status !== 405, `${method} ${path} is ${status}`);
  }
});

appTest("the answer that README and docs/api.md show has the fields that an answer has", async ({ app }) => {
  type Shown = { items: { sources: Record<string, number> }[] };
  const fields = (answer: Shown) =>
    [answer, answer.items[0]!, answer.items[0]!.sources].map((part) => Object.keys(part).sort());
  const given = await (await app.request("/recommendations/u1?k=1")).json();
  for (const path of ["README.md", "docs/api.md"]) {
    const [, shown] = /```json\n(\{[^]*?)\n```/.exec(read(path))!;
    assert.deepEqual(fields(JSON.parse(shown!)), fields(given), path);
  }
});

Deno.test("docs/operating.md names each metric that is exported, and no other", () => {
  const text = read("docs/operating.md");
  const [from, to] = [text.indexOf("**Metrics.**"), text.indexOf("**Logs.**")];
  const pattern = /\b(?:parley|process)_[a-z_]+\b/g;
  const named = new Set([...text.slice(from, to).matchAll(pattern)].map(([name]) => name));
  const exported = sources().filter((path) => path.startsWith("lib/telemetry/")).flatMap((path) =>
    [...read(path).matchAll(/"((?:parley|process)_[a-z_]+)"/g)].map(([, name]) => name!)
  );
  assert.deepEqual([...named].sort(), [...new Set(exported)].sort());
});

Deno.test("README.md and ARCHITECTURE.md are short enough to be read", () => {
  const lines = (path: string) => read(path).trimEnd().split("\n").length;
  assert.ok(lines("README.md") <= 150 && lines("ARCHITECTURE.md") <= 300);
});

Deno.test("each page of docs is linked from another", () => {
  const linked = DOCUMENTS.flatMap((path) =>
    [...read(path).matchAll(/\]\(([^)#\s]+)[^)]*\)/g)].map(([, to]) =>
      new URL(to!, `file:///${path}`).pathname.slice(1)
    )
  );
  assert.deepEqual(GUIDES.filter((path) => !linked.includes(path)), []);
});

Deno.test("docs/design/dependencies.md has a line for each package, and no other", () => {
  const named = read("docs/design/dependencies.md").split("\n").filter((line) => line.startsWith("| `"))
    .flatMap((line) => wordsOf(line.split(" | ")[0]!));
  const used = Object.entries(imports).filter(([name, from]) =>
    from.startsWith("npm:") && !name.startsWith("@types/")
  ).map(([name]) => name.replace(/^ajv.*/, "ajv"));
  const others = ["hono/jsx", "node:sqlite"];
  assert.deepEqual(named.filter((name) => !others.includes(name)).sort(), [...new Set(used)].sort());
});

for (const path of DOCUMENTS.filter((name) => name.endsWith(".md"))) {
  Deno.test(`the links and files that ${path} names are there`, () => {
    const text = read(path).replace(/```[\s\S]*?```/g, "");
    const folder = path.includes("/") ? path.slice(0, path.lastIndexOf("/") + 1) : "";
    const wrong: string[] = [];
    for (const [, target] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(target!)) continue;
      const [file, anchor] = target!.split("#");
      const there = file === "" ? path : folder + file;
      if (!exists(there)) wrong.push(target!);
      else if (anchor !== undefined && !headings(read(there)).includes(anchor)) wrong.push(target!);
    }
    for (
      const [, file] of text.matchAll(
        /`((?:commands|docs|lib|models|routes|sample|tasks|tests)\/[\w./-]*\w)`/g,
      )
    ) {
      const isPlaceholder = /NAME|ROLE/.test(file!) || text.includes(`Create \`${file}\``);
      if (!isPlaceholder && !exists(file!)) wrong.push(file!);
    }
    assert.deepEqual(wrong, []);
  });
}

/** As GitHub names them. */
function headings(text: string): string[] {
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, title]) =>
    title!.toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-")
  );
}
