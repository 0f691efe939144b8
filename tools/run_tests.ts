/**
 * Runs tests, with many files in each isolate: to load the modules of a file, and to run them cold, takes most files longer than to
 * test. Without paths it runs all. Options are those of `deno test`, such as `--filter=TITLE`; `--ignore` takes files and folders.
 *
 *     deno task test tests/lib/dag
 */
import { resolve, sep } from "node:path";
import { pathToFileURL } from "node:url";

/** More than the cores, because many tests wait for processes. */
const JOBS = 1 + 2 * navigator.hardwareConcurrency;
/** More groups than jobs, so that all jobs end at about the same time. */
const MAX_GROUPS = 3 * JOBS;
const IGNORE = "--ignore=";
const OPTIONS = [
  "--quiet",
  "--parallel",
  "--no-check",
  "--allow-all",
  "--sanitize-ops",
  "--sanitize-resources",
];

/** Whether `path` is one of these files, or below one of these folders. */
const isIn = (path: string, parents: readonly string[]) =>
  parents.some((parent) => path === parent || path.startsWith(parent + sep));

function testsIn(path: string): string[] {
  if (Deno.statSync(path).isFile) return [resolve(path)];
  return [...Deno.readDirSync(path)].flatMap(({ name, isDirectory }) => {
    if (isDirectory) return testsIn(resolve(path, name));
    return /_test\.tsx?$/.test(name) ? [resolve(path, name)] : [];
  });
}

/** Deals them in turn, so that the files of one subject, which take similar time, are in different groups. */
function deal(files: readonly string[], groups: number): string[][] {
  return Array.from({ length: groups }, (_, group) => files.filter((_, at) => at % groups === group));
}

const options = Deno.args.filter((arg) => arg.startsWith("-") && !arg.startsWith(IGNORE));
const ignored = Deno.args.filter((arg) => arg.startsWith(IGNORE))
  .flatMap((arg) => arg.slice(IGNORE.length).split(",")).map((path) => resolve(path));
const paths = Deno.args.filter((arg) => !arg.startsWith("-"));
const files = (paths.length === 0 ? ["."] : paths).flatMap(testsIn).filter((file) => !isIn(file, ignored))
  .sort();
if (files.length === 0) {
  console.error("There are no tests in these paths.");
  Deno.exit(1);
}

const folder = Deno.makeTempDirSync({ prefix: "parley-test-" });
try {
  const groups = deal(files, Math.min(MAX_GROUPS, files.length)).map((group, at) => {
    const path = `${folder}/group_${at}_test.ts`;
    Deno.writeTextFileSync(
      path,
      group.map((file) => `import ${JSON.stringify(pathToFileURL(file))};\n`).join(""),
    );
    return path;
  });
  const { code } = await new Deno.Command("deno", {
    args: ["test", "--config=deno.json", ...OPTIONS, ...options, ...groups],
    env: { DENO_JOBS: `${JOBS}`, PARLEY_TEST_TEMPLATES: folder },
  }).spawn().status;
  Deno.exitCode = code;
} finally {
  Deno.removeSync(folder, { recursive: true });
}
