import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { modelFile } from "../../../lib/stores/vectors/names.ts";
import { SqliteVectorStores } from "../../../lib/stores/vectors/sqlite/sqlite_vector_stores.ts";
import { DAMAGE } from "../../fixtures/index_damage.ts";
import { runCode } from "../../fixtures/run.ts";
import { until } from "../../fixtures/until.ts";
import { normalise, profile, randomOf } from "../../fixtures/vectors.ts";

const MODEL = { name: "test", revision: "0", dimension: 4, pooling: "mean" } as const;
const OTHER = { ...MODEL, name: "other", dimension: 6 } as const;

/** As `file:` URLs for the code of a subprocess. */
const module = (path: string) => JSON.stringify(new URL(`../../../${path}`, import.meta.url));
const IMPORTS = `
  import { SqliteVectorStores } from ${module("lib/stores/vectors/sqlite/sqlite_vector_stores.ts")};
  import { rmSync } from "node:fs";
  import { DAMAGE } from ${module("tests/fixtures/index_damage.ts")};
  const MODEL = ${JSON.stringify(MODEL)};
  const question = (vector) => ({ collection: "profiles", version: 1, vector, k: 1 });
  const fileOf = (folder) => {
    const [file] = [...Deno.readDirSync(folder)].filter(({ name }) => name.startsWith("profiles-1."));
    return folder + "/" + file.name;
  };
  // What a failed native call closed once: descriptor 0, and whatever socket got its number next.
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, () => new Response("up"));
  const url = "http://127.0.0.1:" + server.addr.port;
  const alive = async () => {
    Deno.statSync("/dev/fd/0");
    if (await (await fetch(url)).text() !== "up") throw new Error("a socket is gone");
  };`;

/** Runs a test over index files of two models, each with `count` profiles, in version 1. */
function damageTest(
  name: string,
  count: number,
  body: (options: { dir: string; folder: string; other: string }) => Promise<void>,
): void {
  Deno.test(`SqliteVectors ${name}, with ${count} rows`, async () => {
    const dir = await Deno.makeTempDir();
    const stores = new SqliteVectorStores(dir);
    try {
      const random = randomOf(1);
      for (const model of [MODEL, OTHER]) {
        const rows = Array.from({ length: count }, (_, at) => {
          const vector = normalise(Array.from({ length: model.dimension }, () => random() - 0.5));
          return profile(`u${at}`, vector);
        });
        const store = await stores.forModel({ model });
        await store.upsert({ collection: "profiles", rows });
        await store.build({ version: 1 });
      }
      const [other] = [...Deno.readDirSync(`${dir}/${modelFile(OTHER)}`)].filter(({ name }) =>
        name.startsWith("profiles-1.")
      );
      await body({
        dir,
        folder: `${dir}/${modelFile(MODEL)}`,
        other: `${dir}/${modelFile(OTHER)}/${other!.name}`,
      });
    } finally {
      await stores.close();
      await Deno.remove(dir, { recursive: true });
    }
  });
}

/** The message about a damaged file. */
const REASONS: Readonly<Record<string, RegExp>> = {
  empty: /has 0 bytes instead of \d+/,
  halved: /has \d+ bytes instead of \d+/,
  "a byte short": /has \d+ bytes instead of \d+/,
  "flipped at the beginning": /has other bytes than were written/,
  "flipped in the middle": /has other bytes than were written/,
  "flipped at the end": /has other bytes than were written/,
  longer: /has \d+ bytes instead of \d+/,
  missing: /is missing/,
  "a folder": /is not a regular file/,
  "a dangling link": /is missing/,
  "of another model": /has (other bytes than were written|\d+ bytes instead of \d+)/,
};

for (const count of [50, 2_050]) {
  damageTest("survives any damage, says which, and rebuilds", count, async ({ dir, folder, other }) => {
    const code = `${IMPORTS}
      // For all kinds together, so that a test of what is never rebuilt ends.
      const until = performance.now() + 30_000;
      for (const [kind, damage] of Object.entries(DAMAGE)) {
        damage(fileOf("${folder}"), "${other}");
        const stores = new SqliteVectorStores("${dir}");
        const store = await stores.forModel({ model: MODEL });
        const log = [];
        const verified = (await store.verify({ version: 1 }))[0].text;
        const built = (await store.build({ version: 2, log: (line) => log.push(line) })).profiles;
        await store.dropVersionsExcept({ versions: [1] });
        const vector = (await store.get({ collection: "profiles", ids: ["u7"] })).get("u7");
        const search = () => store.search(question(vector)).then(([hit]) => hit.id, (error) => error.message);
        const health = () => stores.health().then(() => "up", (error) => error.message);
        const [refused, ill] = [await search(), await health()];
        let found = refused;
        while (found.endsWith("it is being rebuilt from the rows") && performance.now() < until) {
          await new Promise((resume) => setTimeout(resume, 20));
          found = await search();
        }
        await alive();
        console.log(JSON.stringify({ kind, verified, built, log, refused, ill, found, well: await health() }));
        await stores.close();
      }
      console.log(JSON.stringify({ leaked: [...Deno.readDirSync("${folder}")].map(({ name }) => name) }));
      await server.shutdown();`;
    const lines = (await runCode({ code, permissions: ["--allow-all"] })).split("\n").map((line) => {
      assert.ok(line.startsWith("{"), line);
      return JSON.parse(line);
    });
    assert.deepEqual(lines.slice(0, -1).map(({ kind }) => kind), Object.keys(DAMAGE));
    assert.deepEqual(Object.keys(REASONS), Object.keys(DAMAGE));
    for (const { kind, verified, built, log, refused, ill, found, well } of lines.slice(0, -1)) {
      assert.match(verified, /^the index profiles-1 is damaged: its file /, kind);
      assert.match(verified, REASONS[kind]!, kind);
      assert.equal(built, count);
      // A flat index is never extended, so that its file is not read.
      const expected = count < 2_000 ? [] : [`${verified}; the index of version 2 is built without it`];
      assert.deepEqual(log, expected, kind);
      assert.equal(refused, `${verified}; it is being rebuilt from the rows`, kind);
      assert.deepEqual([ill, found, well], [refused, "u7", "up"], kind);
    }
    const left = lines.at(-1)!.leaked.map((name: string) => name.split(".")[0]).sort();
    assert.deepEqual(left, ["campaigns-1", "conversations-1", "profiles-1"]);
  });

  damageTest(
    "answers as before when a file that is open is damaged",
    count,
    async ({ dir, folder, other }) => {
      const code = `${IMPORTS}
      const stores = new SqliteVectorStores("${dir}");
      const store = await stores.forModel({ model: MODEL });
      const vectors = await store.get({ collection: "profiles", ids: ["u1", "u10", "u40"] });
      const found = async () => {
        const hits = [...vectors.values()].map((vector) => store.search(question(vector)));
        return (await Promise.all(hits)).map(([hit]) => hit.id).join();
      };
      const before = await found();
      const path = fileOf("${folder}");
      const whole = Deno.readFileSync(path);
      for (const [kind, damage] of Object.entries(DAMAGE)) {
        damage(path, "${other}");
        const after = await found();
        if (after !== before) throw new Error(kind + ": " + after);
        await alive();
        rmSync(path, { recursive: true, force: true });
        Deno.writeFileSync(path, whole);
      }
      console.log([before, await found()].join(" "));
      await stores.close();
      await server.shutdown();`;
      assert.equal(await runCode({ code, permissions: ["--allow-all"] }), "u1,u10,u40 u1,u10,u40");
    },
  );
}

const OTHER_GROUPS = "the index profiles-1 is damaged: its groups have other bytes than were written";
const NO_INDEX = "no index of profiles was built for version 1";

/** What can become of the row of an index, by name: how, and the message about it. */
const ROW_DAMAGE: Readonly<Record<string, readonly [sql: string, fault: string]>> = {
  "groups that begin with other bytes": [setGroups("zeroblob(64) || substr(groups, 65)"), OTHER_GROUPS],
  "groups with other bytes in the middle": [
    setGroups("substr(groups, 1, 400) || zeroblob(64) || substr(groups, 465)"),
    OTHER_GROUPS,
  ],
  "groups that are 3 bytes short": [setGroups("substr(groups, 1, length(groups) - 3)"), OTHER_GROUPS],
  "groups of half as many rows": [setGroups("substr(groups, 1, 32 + 16 * 25)"), OTHER_GROUPS],
  "groups of one more row": [setGroups("groups || zeroblob(16)"), OTHER_GROUPS],
  "no groups": [setGroups("x''"), OTHER_GROUPS],
  "no row": ["DELETE FROM indexes WHERE collection = 'profiles'", NO_INDEX],
  "no row of any index": ["DELETE FROM indexes", NO_INDEX],
  "rows of an earlier version alone": ["UPDATE indexes SET version = 0", NO_INDEX],
  "rows of a later version alone": ["UPDATE indexes SET version = 9", NO_INDEX],
};

function setGroups(expression: string): string {
  return `UPDATE indexes SET groups = CAST(${expression} AS BLOB)`;
}

/** Changes the database of a model as no method would. */
function change(folder: string, sql: string): void {
  using db = new DatabaseSync(`${folder}.db`);
  db.exec(sql);
}

for (const [kind, [sql, fault]] of Object.entries(ROW_DAMAGE)) {
  damageTest(`says what is wrong and rebuilds, given ${kind}`, 50, async ({ dir, folder }) => {
    change(folder, sql);
    const stores = new SqliteVectorStores(dir);
    try {
      const store = await stores.forModel({ model: MODEL });
      assert.deepEqual((await store.verify({ version: 1 }))[0], { text: fault, rebuilt: true });
      const vector = (await store.get({ collection: "profiles", ids: ["u7"] })).get("u7")!;
      const search = () => store.search({ collection: "profiles", version: 1, vector, k: 1 });
      const message = `${fault}; it is being rebuilt from the rows`;
      await assert.rejects(search(), { code: fault === NO_INDEX ? "not_found" : "unavailable", message });
      await assert.rejects(stores.health(), { code: "unavailable", message });
      await until(() => search().then(([hit]) => hit!.id === "u7", () => false));
      await stores.health();
      assert.doesNotMatch(JSON.stringify(await store.verify({ version: 1 })), /profiles/);
    } finally {
      await stores.close();
    }
  });
}

damageTest("builds from an index whose groups are damaged", 2_050, async ({ dir, folder }) => {
  change(folder, ROW_DAMAGE["groups with other bytes in the middle"]![0]);
  const stores = new SqliteVectorStores(dir);
  try {
    const log: string[] = [];
    const store = await stores.forModel({ model: MODEL });
    await store.build({ version: 2, log: (line) => log.push(line) });
    assert.deepEqual(log, []);
    assert.deepEqual(await store.verify({ version: 2 }), []);
    const vector = (await store.get({ collection: "profiles", ids: ["u7"] })).get("u7")!;
    assert.equal((await store.search({ collection: "profiles", version: 2, vector, k: 1 }))[0]!.id, "u7");
  } finally {
    await stores.close();
  }
});

damageTest("rebuilds an index once, however often it is asked for", 50, async ({ dir, folder }) => {
  const stores = new SqliteVectorStores(dir);
  try {
    const store = await stores.forModel({ model: MODEL });
    await store.build({ version: 2 });
    await store.build({ version: 3 });
    const search = (version: number) =>
      store.search({ collection: "profiles", version, vector: Float32Array.of(1, 0, 0, 0), k: 1 });
    await search(2);
    const newest = () => {
      using db = new DatabaseSync(`${folder}.db`);
      return Number(db.prepare("SELECT max(build) AS build FROM indexes").get()!.build);
    };
    const before = newest();
    change(folder, "DELETE FROM indexes WHERE version = 1");
    const answers = await Promise.allSettled(Array.from({ length: 5 }, () => search(1)));
    assert.deepEqual(answers.map(({ status }) => status), Array(5).fill("rejected"));
    await until(() => search(1).then(() => true, () => false));
    assert.equal(newest(), before + 1);
  } finally {
    await stores.close();
  }
});

damageTest(
  "reports a rebuild that fails, and does not repeat it for each search",
  50,
  async ({ dir, folder }) => {
    const stores = new SqliteVectorStores(dir);
    const store = await stores.forModel({ model: MODEL });
    try {
      // Where the index files were is now a file, so that none can be written.
      await Deno.remove(folder, { recursive: true });
      await Deno.writeTextFile(folder, "");
      const vector = Float32Array.of(1, 0, 0, 0);
      const refused = () =>
        store.search({ collection: "profiles", version: 1, vector, k: 1 })
          .then(() => "", (error) => error.message as string);
      assert.match(await refused(), /its file is missing; it is being rebuilt from the rows$/);
      let said = "";
      for (const end = performance.now() + 30_000; !/failed/.test(said) && performance.now() < end;) {
        await new Promise((resume) => setTimeout(resume, 10));
        said = await refused();
      }
      assert.match(said, /^the index profiles-1 is damaged: its file is missing, and rebuilding it failed: /);
      assert.equal(await refused(), said);
      await assert.rejects(stores.health(), { message: said, code: "unavailable" });
    } finally {
      await stores.close();
      await Deno.remove(folder);
    }
  },
);

damageTest("removes no file but its own, whatever a damaged row names", 50, async ({ dir }) => {
  const precious = `${dir}/precious.db`;
  Deno.writeTextFileSync(precious, "rows");
  {
    using db = new DatabaseSync(`${dir}/${modelFile(MODEL)}.db`);
    db.exec("UPDATE indexes SET file = '../precious.db' WHERE collection = 'profiles'");
  }
  const stores = new SqliteVectorStores(dir);
  try {
    const store = await stores.forModel({ model: MODEL });
    const vector = normalise([1, 2, 3, 4]);
    await until(() =>
      store.search({ collection: "profiles", version: 1, vector, k: 1 }).then(
        ([hit]) => hit !== undefined,
        () => false,
      )
    );
    await store.build({ version: 1 });
    assert.equal(Deno.readTextFileSync(precious), "rows");
  } finally {
    await stores.close();
  }
});
