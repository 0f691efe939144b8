import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { doctor } from "../../commands/doctor.ts";
import { reset } from "../../commands/reset.ts";
import { openServices } from "../../commands/services.ts";
import type { Config } from "../../lib/config.ts";
import { parseModelKey } from "../../lib/core/types.ts";
import type { Finding } from "../../lib/data_checks/data_checks.ts";
import { modelFile } from "../../lib/stores/vectors/names.ts";
import type { Services } from "../../tasks/services.ts";
import { buildVersion } from "../../tasks/steps/derive.ts";
import { publishVersion } from "../../tasks/steps/publish.ts";
import { asAnyUser } from "../fixtures/any_user.ts";
import { ROOT } from "../fixtures/flow.ts";
import {
  fileOf,
  overwrite,
  removeTemplate,
  type Role,
  ROLES,
  serving,
  USER,
  withCopy,
} from "../fixtures/damage.ts";

import { profile } from "../fixtures/vectors.ts";

Deno.test.afterAll(removeTemplate);

/** Kinds of damage of a file, each with the message about it. */
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

const OTHER = { name: "other", revision: "0", dimension: 4, pooling: "mean" } as const;

async function withServices(config: Config, body: (services: Services) => Promise<void>): Promise<void> {
  const { value, close } = await openServices(config);
  await body(value).finally(close);
}

/** `doctor --json` of a Parley that something else schedules. */
async function examined(config: Config) {
  const printed: string[] = [];
  const { log } = console;
  console.log = (line: string) => printed.push(line);
  try {
    const code = await doctor({ ...config, schedule: null }, { json: true });
    const { stores, findings } = JSON.parse(printed.join(""));
    const errors = stores.flatMap(({ role, error }: { role: string; error: string | null }) =>
      error === null ? [] : [[role, error]]
    );
    const warnings: string[] = findings.map(({ severity, text }: Finding) => `${severity}: ${text}`);
    const urls = Object.fromEntries(stores.map(({ role, url }: { role: Role; url: string }) => [role, url]));
    return { code, errors: Object.fromEntries(errors) as Record<string, string>, warnings, urls };
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

/** What can be wrong with the vectors of a model that is not in use. */
const UNUSED: Record<string, (path: string) => void> = {
  "is no database": (path) => Deno.writeTextFileSync(path, "garbage"),
  "has flipped pages": (path) => overwrite(path, 8_192, Deno.statSync(path).size - 8_192),
  "has a damaged log": (path) => Deno.writeFileSync(`${path}-wal`, new Uint8Array(4_152).fill(0xa5)),
};

for (const [what, damage] of Object.entries(UNUSED)) {
  Deno.test(`a file of vectors that are not in use costs a warning and nothing else when it ${what}`, () =>
    withCopy(async (config) => {
      const path = `${config.data}/vectors/${modelFile(OTHER)}.db`;
      await withServices(config, async ({ vectors }) => {
        const rows = Array.from({ length: 500 }, (_, i) => profile(`u${i}`, Float32Array.of(1, 0, 0, 0)));
        await (await vectors.forModel({ model: OTHER })).upsert({ collection: "profiles", rows });
      });
      damage(path);
      await serving(config, async ({ json }) => {
        for (const _ of ["before", "after"]) {
          assert.deepEqual((await json(`/recommendations/${USER}?k=3`)).body.degraded, []);
          const { status, body } = await json("/readyz");
          assert.deepEqual([status, body.status], [200, "ready"]);
        }
      });
      const { code, errors, warnings, urls } = await examined(config);
      assert.deepEqual([code, errors, warnings.length], [0, {}, 1]);
      assert.ok(warnings[0]!.startsWith(`warning: ${path}`), warnings[0]);
      assert.match(warnings[0]!, /: move \S+\.db away and continue without it: answers come from another/);
      assert.equal(urls.vectors, `sqlite:${config.data}/vectors`);
      await withServices(config, async (services) => {
        const lines: string[] = [];
        const before = await services.analytics.published();
        const model = parseModelKey(before!.model);
        const { version } = await buildVersion(services, await services.vectors.forModel({ model }), {
          derivation: null,
        });
        const order = {
          version,
          model,
          run_id: "next",
          sources: [],
          log: (line: string) => lines.push(line),
        };
        assert.equal((await publishVersion(services, order)).version, before!.version + 1);
        assert.deepEqual(lines.map((line) => line.startsWith(path)), [true]);
        const { error } = console;
        const said: string[] = [];
        console.error = (line: string) => said.push(line);
        try {
          assert.equal(await reset(config, { sample: true, all: false, yes: true }), 0);
        } finally {
          console.error = error;
        }
        assert.ok(said.length > 0 && said.every((line) => line.startsWith(`parley: ${path}`)), String(said));
      });
    }));
}

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
          if (role !== "runs") {
            const summary = await json("/pipeline/summary");
            const unread = role === "analytics" ? ["analytics"] : [];
            assert.deepEqual([summary.status, summary.body.degraded], [200, unread]);
          }
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
