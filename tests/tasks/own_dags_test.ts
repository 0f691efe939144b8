import assert from "node:assert/strict";
import { allDags, builtInDags } from "../../commands/engine.ts";
import { loadConfig } from "../../lib/config.ts";
import { dagFaultAnomalies } from "../../lib/monitoring/dag_faults.ts";

const dag = (id: string, rest = "", run = "() => null") =>
  `import { defineDag } from "parley";
export default defineDag({ id: "${id}", ${rest} tasks: [{ id: "a", run: ${run} }] });
`;

/** Loads the dags of a folder that holds these files. */
async function load(files: Record<string, string>, env: Record<string, string> = {}) {
  const folder = await Deno.makeTempDir({ prefix: "parley own dags %41#" });
  try {
    for (const [name, text] of Object.entries(files)) {
      if (name.includes("/")) await Deno.mkdir(`${folder}/${name.split("/")[0]}`, { recursive: true });
      await Deno.writeTextFile(`${folder}/${name}`, text);
    }
    const config = loadConfig({ PARLEY_DAGS: folder, ...env });
    const builtIn = builtInDags(config);
    const { dags, faults } = await allDags(config);
    const reasons = faults.map(({ path, reason }) => `${path.replace(`${folder}/`, "")}: ${reason}`);
    return { own: [...dags.values()].filter(({ id }) => !builtIn.has(id)), reasons };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("allDags() adds what the files of a folder export, in the order of their names", async () => {
  const { own, reasons } = await load({
    "b.ts": dag("second"),
    "a.ts": dag("first"),
    "both.ts": `${
      dag("third")
    }export const other = defineDag({ id: "fourth", tasks: [{ id: "a", run() {} }] });`,
    "a_test.ts": "throw new Error('a test');",
    "types.d.ts": "export type A = 1;",
    "notes.md": "# Notes",
    "shared/helper.ts": "throw new Error('not read');",
  });
  assert.deepEqual(reasons, []);
  assert.deepEqual(own.map(({ id }) => id), ["first", "second", "third", "fourth"]);
});

Deno.test("allDags() names what is wrong with a file, and where, and loads the others", async () => {
  const { own, reasons } = await load({
    "a_syntax.ts": `import { defineDag } from "parley";\nexport default defineDag({ id: "x" tasks: [] });\n`,
    "b_throws.ts": `import "parley";\n\n  null.foo;\n`,
    "c_none.ts": "export const a = 1;",
    "d_misspelt.ts": dag("misspelt", "shedule: {},"),
    "e_cycle.ts":
      `import { defineDag } from "parley";\nexport default defineDag({ id: "c", tasks: [{ id: "a", needs: ["a"], run() {} }] });`,
    "f_taken.ts": dag("nightly"),
    "g_import.ts": `import "./gone.ts";\n${dag("g")}`,
    "h_function.ts": dag("h", "", '"no function"'),
    "i_cron.ts": dag("i", 'schedule: { cron: "61 * * * *" },'),
    "j_pool.ts":
      `import { defineDag } from "parley";\nexport default defineDag({ id: "p", tasks: [{ id: "a", pool: "gpu", run() {} }] });`,
    "k_secret.ts": dag("k", 'secrets: ["TOKEN"],'),
    "l_params.ts": `import { defineDag, z } from "parley";
export default defineDag({ id: "l", schedule: { cron: "0 7 * * *" }, params: z.object({ n: z.number() }), tasks: [{ id: "a", run() {} }] });`,
    "m_string.ts": "throw 'a text';",
    "z_good.ts": dag("good"),
  });
  assert.deepEqual(own.map(({ id }) => id), ["good"]);
  const expected = [
    /^a_syntax.ts: SyntaxError.* \(line 2, column \d+\)$/,
    /^b_throws.ts: .*reading 'foo'.* \(line 3, column \d+\)$/,
    /^c_none.ts: it exports no dag/,
    /^d_misspelt.ts: dag "misspelt": .*shedule.* \(line 2, column \d+\)$/,
    /^e_cycle.ts: dag "c": .*a.* \(line 2, column \d+\)$/,
    /^f_taken.ts: two dags have the id "nightly"$/,
    /^g_import.ts: .*gone.ts/,
    /^h_function.ts: dag "h": tasks.0.run must be a function/,
    /^i_cron.ts: dag "i": /,
    /^j_pool.ts: dag "p": task "a" needs the pool "gpu"/,
    /^k_secret.ts: dag "k" needs PARLEY_DAG_SECRET_TOKEN/,
    /^l_params.ts: dag "l": it has a schedule, and no default for the params: n/,
    /^m_string.ts: a text/,
  ];
  assert.equal(reasons.length, expected.length, reasons.join("\n"));
  for (const [i, pattern] of expected.entries()) assert.match(reasons[i]!, pattern);
});

Deno.test("allDags() reports a folder that is not there, and keeps Parley's own dags", async () => {
  const config = loadConfig({ PARLEY_DAGS: "/nowhere/at/all" });
  const { dags, faults } = await allDags(config);
  assert.deepEqual([...dags.keys()], [...builtInDags(config).keys()]);
  assert.match(faults[0]!.reason, /^the folder cannot be read/);
  const [anomaly] = dagFaultAnomalies(faults, 0);
  assert.deepEqual([anomaly!.code, anomaly!.severity], ["dags_unusable", "critical"]);
});

Deno.test("PARLEY_SCHEDULE=off is for own dags too", async () => {
  const files = { "a.ts": dag("a", 'schedule: { cron: "0 7 * * *" },') };
  assert.deepEqual((await load(files)).own[0]!.schedule, {
    cron: "0 7 * * *",
    timezone: "UTC",
    catch_up: "latest",
  });
  assert.equal((await load(files, { PARLEY_SCHEDULE: "off" })).own[0]!.schedule, undefined);
});

Deno.test("allDags() resolves the datasets of stores, which start no run while schedules are off", async () => {
  const files = {
    "a.ts": dag(
      "after",
      'on_datasets: { any_of: [{ namespace: "analytics", name: "published" }, { namespace: "s3://b", name: "x" }] },',
    ),
  };
  const { own, reasons } = await load(files, { PARLEY_ANALYTICS: "postgres://u:p@db.example:5432/parley" });
  assert.deepEqual(reasons, []);
  assert.deepEqual(own[0]?.on_datasets, {
    any_of: [
      { namespace: "postgres://db.example:5432", name: "parley.parley.published" },
      { namespace: "s3://b", name: "x" },
    ],
  });
  assert.equal((await load(files, { PARLEY_SCHEDULE: "off" })).own[0]?.on_datasets, undefined);
});
