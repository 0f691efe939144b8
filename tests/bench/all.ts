/**
 * Runs every bench in a process of its own and prints its figures. Data sets that are not there are named.
 *
 *     deno task bench [NAME...]     such as: deno task bench nightly
 */
const folder = new URL(".", import.meta.url);
const all = [...Deno.readDirSync(folder)].map(({ name }) => name.replace(/\.ts$/, ""))
  .filter((name) => name !== "all" && name !== "lib").sort();
const unknown = Deno.args.filter((name) => !all.includes(name));
if (unknown.length > 0) {
  console.error(`there is no bench ${unknown.join(", ")}; there are ${all.join(", ")}`);
  Deno.exit(2);
}
const names = Deno.args.length === 0 ? all : all.filter((name) => Deno.args.includes(name));

for (const name of names) {
  console.log(`\n== ${name}`);
  const args = ["run", "--quiet", "--allow-all", new URL(`${name}.ts`, folder).href];
  const { code } = await new Deno.Command(Deno.execPath(), { args }).spawn().status;
  if (code !== 0) Deno.exitCode = 1;
}
