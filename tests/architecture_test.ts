import assert from "node:assert/strict";
import {
  commandLines,
  cycles,
  environment,
  exportedNames,
  ids,
  layers,
  outsideCode,
  readTree,
  type Rule,
} from "./fixtures/architecture.ts";

const TREE = readTree("main.ts", "edge.ts", "commands", "routes", "tasks", "lib");
const USERS = readTree("tests", "tools");

/** Each rule, with files that break it and would otherwise be fine, and the message about them. */
const RULES: readonly [title: string, rule: Rule, planted: Record<string, string>, said: RegExp][] = [
  ["imports run one way", layers, {
    "lib/config.ts": `import "./stores/cache/redis/redis_cache.ts";`,
    "lib/stores/engines/a.ts": `import "../cache/memory/memory_cache.ts";`,
    "lib/stores/cache/shared.ts": `import "./redis/redis_cache.ts";`,
    "lib/stores/cache/redis/a.ts": `import "../memory/memory_cache.ts";`,
    "lib/stores/cache/redis/b.ts": `import "../../open.ts";`,
    "lib/recommend/a.ts": `import { open } from "../stores/open.ts";`,
    "lib/core/a.ts": `import { z } from "../../deps.ts";`,
    "lib/dag/a.ts": `import "../monitoring/health.ts";`,
    "lib/monitoring/a.ts": `import "../data_checks/data_checks.ts";`,
    "routes/components/a.tsx": `import "../pages/mod.ts";`,
    "routes/components/b.tsx": `import type { RunStore } from "../../lib/stores/runs/port.ts";`,
    "tasks/a.ts": `import "../commands/run.ts";`,
    "elsewhere/a.ts": `import "../main.ts";`,
  }, /→|is in no layer/],
  ["outside code comes in through deps.ts alone", outsideCode, {
    "lib/core/a.ts": `const zod = await import("npm:zod");`,
    "tasks/a.ts": `import { z } from "node:fs";`,
  }, /→ n/],
  ["no file imports itself through others", cycles, {
    "lib/core/a.ts": `import type { B } from "./b.ts";\nexport type A = B;`,
    "lib/core/b.ts": `import type { A } from "./a.ts";\nexport type B = A;`,
  }, /a\.ts → lib\/core\/b\.ts → lib\/core\/a\.ts/],
  ["a name is exported because another file imports it", exportedNames(USERS), {
    "lib/core/a.ts": `export const unused = 1;`,
  }, /unused/],
  ["lib knows no command line, except where it says what helps", commandLines, {
    "lib/core/a.ts": "const remedy = `run deno task pipeline`;",
  }, /core/],
  ["lib knows no dag and no task by its id", ids, {
    "lib/core/a.ts": `if (task_id === "ingest") throw new Error();`,
    "lib/monitoring/b.ts": `export const DAG = { dag_id: "mine" };`,
    "lib/recommend/c.ts": `const dag = dags.get("nightly");`,
  }, /[abc]\.ts/],
  ["the environment is read in one place", environment, {
    "tasks/a.ts": `const home = Deno.env.get("HOME");`,
  }, /tasks/],
];

for (const [title, rule, planted, said] of RULES) {
  Deno.test(title, () => assert.deepEqual(rule(TREE), []));

  Deno.test(`${title}: a planted violation is found`, () => {
    for (
      const group of rule === cycles
        ? [planted]
        : Object.entries(planted).map(([at, text]) => ({ [at]: text }))
    ) {
      const found = rule(new Map([...TREE, ...Object.entries(group)]));
      assert.equal(found.length, 1, JSON.stringify([group, found]));
      assert.match(found[0]!, said);
    }
  });
}
