import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { doctor } from "../commands/doctor.ts";
import type { Config } from "../lib/config.ts";
import { asAnyUser } from "./fixtures/any_user.ts";
import { ROOT } from "./fixtures/flow.ts";
import { fileOf, overwrite, removeTemplate, ROLES, serving, USER, withCopy } from "./fixtures/damage.ts";

Deno.test.afterAll(removeTemplate);

/** What can be wrong with a file, each with what is then said of it. */
const KINDS: Record<string, { damage: (path: string) => void; reason: RegExp }> = {
  "has 0 bytes": {
    damage: (path) => Deno.truncateSync(path, 0),
    reason: /has no content \(0 bytes\)/,
  },
  "has a garbage header": {
    damage: (path) => overwrite(path, 0, 100),
    reason: /is damaged \(file is not a database\)/,
  },
  "has flipped pages": {
    damage: (path) => overwrite(path, 4096, Deno.statSync(path).size - 4096),
    reason: /is damaged \(.*malformed.*\)/,
  },
  "is truncated": {
    damage: (path) => Deno.truncateSync(path, Deno.statSync(path).size / 2),
    reason: /is damaged \(database disk image is malformed\)/,
  },
  "is a folder": {
    damage: (path) => {
      Deno.removeSync(path);
      Deno.mkdirSync(path);
    },
    reason: /cannot be opened \(a folder is in its place\)/,
  },
  "has a newer schema": {
    damage: (path) => {
      using db = new DatabaseSync(path);
      db.exec("PRAGMA user_version = 99");
    },
    reason: /has schema version 99, .* use the newer Parley/,
  },
  "has a damaged log": {
    damage: (path) => Deno.writeFileSync(`${path}-wal`, new Uint8Array(4_152).fill(0xa5)),
    reason: /-wal is damaged/,
  },
  "is gone": {
    damage: (path) => Deno.removeSync(path),
    reason: /is not there/,
  },
};

/** `doctor --json`. */
async function examined(config: Config) {
  const printed: string[] = [];
  const { log } = console;
  console.log = (line: string) => printed.push(line);
  try {
    const code = await doctor(config, { json: true });
    const { stores } = JSON.parse(printed.join(""));
    const errors = stores.flatMap(({ role, error }: { role: string; error: string | null }) =>
      error === null ? [] : [[role, error]]
    );
    return { code, errors: Object.fromEntries(errors) as Record<string, string> };
  } finally {
    console.log = log;
  }
}

Deno.test({
  name: "doctor says what to do if this user may not read a file",
  ignore: Deno.build.os !== "linux",
  fn: () =>
    withCopy(async (config) => {
      const path = fileOf(config.data, "graph");
      Deno.chmodSync(path, 0);
      const { code, stdout } = await asAnyUser(
        ["deno", "run", "--quiet", "--no-check", "--allow-all", `${ROOT}main.ts`, "doctor"],
        { PARLEY_DATA: config.data, PARLEY_EMBEDDINGS: "test:64" },
      );
      assert.equal(code, 1);
      const said =
        `${path} cannot be opened for reading and writing: give it to the user that Parley runs as`;
      assert.ok(stdout.includes(said), stdout);
    }),
});

for (const role of ROLES) {
  for (const [what, { damage, reason }] of Object.entries(KINDS)) {
    Deno.test(`answers, /readyz, doctor and the overview agree when the file of ${role} ${what}`, () =>
      withCopy(async (config) => {
        const path = fileOf(config.data, role);
        damage(path);
        const said = (text: string) => {
          assert.match(text, reason);
          assert.ok(text.includes(path), text);
        };
        await serving(config, async ({ json, html }) => {
          const answer = await json(`/recommendations/${USER}?k=3`);
          assert.equal(answer.status, 200);
          const needed = role === "documents" || role === "runs" ? [] : [role];
          assert.deepEqual(answer.body.degraded, needed);
          if (role !== "analytics") assert.equal(answer.body.items.length, 3);
          if (role === "documents") await html(`/explain?user_id=${USER}`);
          const { status, body } = await json("/readyz");
          assert.equal(status, role === "analytics" ? 503 : 200);
          const down = Object.entries(body.stores).filter(([, store]) => store.status === "down");
          assert.deepEqual(down.map(([name]) => name), [role]);
          said(down[0]![1].error);
          const page = (await html("/")).replaceAll("&quot;", '"');
          assert.ok(page.includes(path), page.slice(0, 2_000));
        });
        const { code, errors } = await examined(config);
        assert.equal(code, 1);
        assert.deepEqual(Object.keys(errors), [role]);
        said(errors[role]!);
      }));
  }
}
