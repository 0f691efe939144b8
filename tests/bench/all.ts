/**
 * Runs every bench in a process of its own and prints its figures. Data sets that are not there are named.
 *
 *     deno task bench [NAME...]     such as: deno task bench nightly
 */
const folder = new URL(".", import.meta.url);
const names = [...Deno.readDirSync(folder)].map(({ name }) => name.replace(/\.ts$/, ""))
  .filter((name) => name !== "all" && name !== "lib" && (Deno.args.length === 0 || Deno.args.includes(name)))
  .sort();

for (const name of names) {
  console.log(`\n== ${name}`);
  const args = ["run", "--quiet", "--allow-all", new URL(`${name}.ts`, folder).href];
  const { code } = await new Deno.Command(Deno.execPath(), { args }).spawn().status;
  if (code !== 0) Deno.exitCode = 1;
}
