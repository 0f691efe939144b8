import assert from "node:assert/strict";

const ROOT = new URL("../../", import.meta.url);
const FILES = [
  "CHANGELOG.md",
  "README.md",
  "deno.json",
  "docs/openapi.json",
  "docker-compose.yml",
  "docs/deploy/kubernetes.yaml",
];
const DENO_JSON = `{\n  "version": "0.1.0",\n  "tasks": {}\n}\n`;
const README = "# Parley\n\nVersion 0.1.0. Settings may change.\n";
const OPENAPI = `{\n  "openapi": "3.1.1",\n  "info": {\n    "version": "0.1.0"\n  }\n}\n`;
const COMPOSE = "x-parley: &parley\n  image: parley:0.1.0\n";
const KUBERNETES = "          image: parley:0.1.0\n---\n          image: parley:0.1.0\n";
const CHANGELOG = `# Changelog

## [Unreleased]

### Added

- A door.

## [0.1.0] - 2026-11-23

- A house.
`;

interface Repository {
  readonly git: (...args: string[]) => Promise<string>;
  readonly release: (...args: string[]) => Promise<{ success: boolean; said: string }>;
  readonly write: (file: string, text: string) => void;
  readonly read: (file: string) => string;
}

/** A test in a repository of its own, released with the permissions of the task. */
function releaseTest(name: string, body: (repository: Repository) => Promise<void>): void {
  Deno.test(`deno task release ${name}`, async () => {
    const cwd = await Deno.makeTempDir();
    const run = async (program: string, args: string[]) => {
      const { success, stdout, stderr } = await new Deno.Command(program, { args, cwd }).output();
      const decoder = new TextDecoder();
      return { success, said: (decoder.decode(stdout) + decoder.decode(stderr)).trim() };
    };
    const git = async (...args: string[]) => {
      const { success, said } = await run("git", args);
      assert.ok(success, said);
      return said;
    };
    const { command } = JSON.parse(Deno.readTextFileSync(new URL("deno.json", ROOT))).tasks.release;
    const [, ...task]: string[] = command.split(" ");
    const script = new URL(task.pop()!, ROOT).pathname;
    const release = (...args: string[]) =>
      run(Deno.execPath(), [...task, "--no-prompt", "--no-config", decodeURIComponent(script), ...args]);
    const write = (file: string, text: string) => Deno.writeTextFileSync(`${cwd}/${file}`, text);
    const read = (file: string) => Deno.readTextFileSync(`${cwd}/${file}`);
    try {
      await git("init", "--quiet");
      for (const pair of [["user.name", "Test"], ["user.email", "test@example.com"]]) {
        await git("config", ...pair);
      }
      await Deno.mkdir(`${cwd}/docs/deploy`, { recursive: true });
      for (const [at, text] of [CHANGELOG, README, DENO_JSON, OPENAPI, COMPOSE, KUBERNETES].entries()) {
        write(FILES[at]!, text);
      }
      await git("add", ".");
      await git("commit", "--quiet", "--message", "start");
      await body({ git, release, write, read });
    } finally {
      await Deno.remove(cwd, { recursive: true });
    }
  });
}

releaseTest("dates the changelog, sets the version, commits and tags", async ({ git, release, read }) => {
  const today = () => new Date().toISOString().slice(0, 10);
  const days = [today()];
  const { success, said } = await release("0.2.0");
  assert.ok(success, said);
  const day = /^## \[0\.2\.0\] - (.*)$/m.exec(read("CHANGELOG.md"))?.[1] ?? "";
  assert.ok([...days, today()].includes(day), day);
  assert.equal(
    read("CHANGELOG.md"),
    CHANGELOG.replace("## [Unreleased]\n", `## [Unreleased]\n\n## [0.2.0] - ${day}\n`),
  );
  assert.equal(read("deno.json"), DENO_JSON.replace("0.1.0", "0.2.0"));
  assert.equal(read("docs/openapi.json"), OPENAPI.replace("0.1.0", "0.2.0"));
  assert.equal(read("docker-compose.yml"), COMPOSE.replace("0.1.0", "0.2.0"));
  assert.equal(read("docs/deploy/kubernetes.yaml"), KUBERNETES.replaceAll("0.1.0", "0.2.0"));
  assert.equal(read("README.md"), README.replace("0.1.0", "0.2.0"));
  assert.equal(await git("status", "--porcelain"), "");
  assert.equal(await git("log", "-1", "--format=%s"), "release: 0.2.0");
  assert.equal(await git("rev-parse", "v0.2.0^{commit}"), await git("rev-parse", "HEAD"));
  const repeated = await release("0.3.0");
  assert.match(repeated.said, /CHANGELOG.md says nothing under "Unreleased"/);
});

releaseTest("refuses, and leaves everything as it was", async ({ git, release, write }) => {
  const head = await git("rev-parse", "HEAD");
  await git("tag", "v0.3.0");
  const refusals: [args: string[], reason: RegExp][] = [
    [[], /give one version/],
    [["0.2"], /give one version/],
    [["v0.2.0"], /give one version/],
    [["0.1.0"], /0\.1\.0 does not come after 0\.1\.0/],
    [["0.0.9"], /0\.0\.9 does not come after 0\.1\.0/],
    [["0.3.0"], /the tag v0\.3\.0 exists/],
  ];
  for (const [args, reason] of refusals) {
    const { success, said } = await release(...args);
    assert.equal(success, false);
    assert.match(said, reason);
  }
  assert.equal(await git("status", "--porcelain"), "");
  write("notes.txt", "half done");
  assert.match((await release("0.2.0")).said, /changes that are not committed/);
  assert.equal(await git("rev-parse", "HEAD"), head);
  assert.equal(await git("tag"), "v0.3.0");
});

Deno.test("the files of this repository have what deno task release replaces", () => {
  const [changelog, readme, config] = FILES.map((file) => Deno.readTextFileSync(new URL(file, ROOT)));
  const { version } = JSON.parse(config!);
  assert.match(changelog!, /^## \[Unreleased\]$/m);
  assert.ok(readme!.includes(`\nVersion ${version}.`));
  assert.ok(config!.includes(`\n  "version": "${version}"`));
});
