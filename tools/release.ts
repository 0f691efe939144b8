/**
 * Makes a release: dates what CHANGELOG.md has under "Unreleased", sets the version in deno.json, README.md,
 * docs/openapi.json and the files that name the image, commits, and tags. Pushes nothing. Changes nothing if it refuses.
 *
 *     deno task release 0.2.0
 */
const [version = "", ...more] = Deno.args;

function refuse(reason: string): never {
  console.error(`release: ${reason}`);
  Deno.exit(1);
}

async function git(...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command("git", { args }).output();
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trim();
  return success ? decode(stdout) : refuse(`git ${args[0]} failed: ${decode(stderr)}`);
}

/** Replaces what must be there so many times. */
function replace(
  file: string,
  pattern: RegExp,
  replacement: string,
  times = 1,
): [file: string, text: string] {
  const text = Deno.readTextFileSync(file);
  const all = new RegExp(pattern, "gm");
  const found = text.match(all)?.length ?? 0;
  if (found !== times) refuse(`${file} has ${pattern} ${found} times, not ${times}`);
  return [file, text.replace(all, replacement)];
}

const NUMBERS = /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)$/;

function isNewer(version: string, than: string): boolean {
  const [a, b] = [version, than].map((text) => text.split(".").map(Number));
  const at = a!.findIndex((number, at) => number !== b![at]);
  return at >= 0 && a![at]! > b![at]!;
}

if (more.length > 0 || !NUMBERS.test(version)) refuse("give one version, such as 0.2.0");
const current: string = JSON.parse(Deno.readTextFileSync("deno.json")).version;
if (!isNewer(version, current)) refuse(`${version} does not come after ${current}`);
if (await git("status", "--porcelain") !== "") refuse("there are changes that are not committed");
if (await git("tag", "--list", `v${version}`) !== "") refuse(`the tag v${version} exists`);
const unreleased = Deno.readTextFileSync("CHANGELOG.md").split(/^## /m)
  .find((section) => section.startsWith("[Unreleased]"));
if (!unreleased?.includes("\n- ")) refuse('CHANGELOG.md says nothing under "Unreleased"');

const today = new Date().toISOString().slice(0, 10);
const files = [
  replace("CHANGELOG.md", /^## \[Unreleased\]$/m, `## [Unreleased]\n\n## [${version}] - ${today}`),
  replace("deno.json", /^ {2}"version": ".*"/m, `  "version": "${version}"`),
  replace("docker-compose.yml", /^ {2}image: parley:.*$/m, `  image: parley:${version}`),
  replace("docs/deploy/kubernetes.yaml", /^ {10}image: parley:.*$/m, `          image: parley:${version}`, 2),
  replace("docs/openapi.json", /^ {4}"version": ".*"/m, `    "version": "${version}"`),
  replace("README.md", /^Version \d+\.\d+\.\d+\b/m, `Version ${version}`),
];
for (const [file, text] of files) Deno.writeTextFileSync(file, text);
await git("commit", "--quiet", "--message", `release: ${version}`, "--", ...files.map(([file]) => file));
await git("tag", "--annotate", "--message", `Parley ${version}`, `v${version}`);
console.log(`v${version} is committed and tagged here: git push --follow-tags sends it.`);
