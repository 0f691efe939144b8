/**
 * Runs tests and prints the share of lines of each part of the program that they reach. Exits with 1 if a test fails or a part has
 * less than {@link MIN_PERCENT}.
 *
 *     deno task coverage
 */

/** The folders that are measured, each with all below it. */
const PARTS = ["lib/core", "lib/dag", "lib/recommend"];
/** The tests that are to reach them. */
const TESTS = ["tests/lib/core", "tests/lib/dag", "tests/lib/recommend"];
const MIN_PERCENT = 90;

interface Lines {
  readonly path: string;
  readonly found: number;
  readonly hit: number;
}

async function deno(...args: string[]): Promise<string> {
  const command = new Deno.Command("deno", { args, stdout: "piped", stderr: "inherit" });
  const { code, stdout } = await command.output();
  const text = new TextDecoder().decode(stdout);
  if (code === 0) return text;
  console.error(text);
  Deno.exit(1);
}

/** The records of a file in lcov's format: SF is the path, LF the number of executable lines, LH that of executed ones. */
function linesOf(report: string): Lines[] {
  return report.split("end_of_record").flatMap((record) => {
    const field = (name: string) => new RegExp(`^${name}:(.*)$`, "m").exec(record)?.[1];
    const path = field("SF");
    return path === undefined ? [] : [{ path, found: Number(field("LF")), hit: Number(field("LH")) }];
  });
}

const percent = ({ found, hit }: Omit<Lines, "path">) => found === 0 ? 0 : 100 * hit / found;
const sum = (lines: readonly Lines[], of: "found" | "hit") =>
  lines.reduce((total, each) => total + each[of], 0);

const root = decodeURIComponent(new URL("../", import.meta.url).pathname);
const folder = await Deno.makeTempDir({ prefix: "parley-coverage-" });
try {
  const quietly = ["--quiet", "--no-check", "--allow-all", "--parallel", "--reporter=dot"];
  await deno("test", ...quietly, `--coverage=${folder}`, ...TESTS.map((path) => root + path));
  const include = `--include=^file://${root}(${PARTS.join("|")})/`;
  const files = linesOf(await deno("coverage", "--quiet", "--lcov", include, folder));
  let enough = true;
  for (const part of PARTS) {
    const own = files.filter(({ path }) => path.startsWith(`${root}${part}/`));
    const share = percent({ found: sum(own, "found"), hit: sum(own, "hit") });
    console.log(`${part.padEnd(14)} ${share.toFixed(1).padStart(5)} % of ${sum(own, "found")} lines`);
    const [worst] = own.toSorted((a, b) => percent(a) - percent(b));
    if (worst !== undefined) {
      console.log(`  least: ${worst.path.slice(root.length)}, ${percent(worst).toFixed(1)} %`);
    }
    if (share < MIN_PERCENT) enough = false;
  }
  if (!enough) {
    console.error(`Each part must have ${MIN_PERCENT} % of its lines reached by ${TESTS.join(", ")}.`);
    Deno.exitCode = 1;
  }
} finally {
  await Deno.remove(folder, { recursive: true });
}
