import assert from "node:assert/strict";
import { modelFile } from "../../../lib/stores/vectors/names.ts";
import { SqliteVectorStores } from "../../../lib/stores/vectors/sqlite_stores.ts";
import { DAMAGE } from "../../fixtures/index_damage.ts";
import { runCode } from "../../fixtures/run.ts";
import { normalise, profile, randomOf } from "../../fixtures/vectors.ts";

const MODEL = { name: "test", revision: "0", dimension: 4, pooling: "mean" } as const;
const OTHER = { ...MODEL, name: "other", dimension: 6 } as const;

/** As `file:` URLs for the code of a subprocess. */
const module = (path: string) => JSON.stringify(new URL(`../../../${path}`, import.meta.url));
const IMPORTS = `
  import { SqliteVectorStores } from ${module("lib/stores/vectors/sqlite_stores.ts")};
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
  body: (o: { dir: string; folder: string; other: string }) => Promise<void>,
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
        const store = await stores.of({ model });
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

/** What is said of a damaged file. */
const REASONS: Readonly<Record<string, RegExp>> = {
  empty: /has 0 of \d+ bytes/,
  halved: /has \d+ of \d+ bytes/,
  "a byte short": /has \d+ of \d+ bytes/,
  "flipped at the beginning": /has other bytes than were written/,
  "flipped in the middle": /has other bytes than were written/,
  "flipped at the end": /has other bytes than were written/,
  longer: /has \d+ of \d+ bytes/,
  missing: /is missing/,
  "a folder": /is not a regular file/,
  "a dangling link": /is missing/,
  "of another model": /has \d+ of \d+ bytes/,
};

for (const count of [50, 2_050]) {
  damageTest("survives any damage, says which, and rebuilds", count, async ({ dir, folder, other }) => {
    const code = `${IMPORTS}
      for (const [kind, damage] of Object.entries(DAMAGE)) {
        damage(fileOf("${folder}"), "${other}");
        const stores = new SqliteVectorStores("${dir}");
        const store = await stores.of({ model: MODEL });
        const log = [];
        const verified = (await store.verify({ version: 1 }))[0];
        const built = (await store.build({ version: 2, log: (line) => log.push(line) })).profiles;
        await store.keep({ versions: [1] });
        const vector = (await store.get({ collection: "profiles", ids: ["u7"] })).get("u7");
        const search = () => store.search(question(vector)).then(([hit]) => hit.id, (error) => error.message);
        const health = () => stores.health().then(() => "up", (error) => error.message);
        const [refused, ill] = [await search(), await health()];
        let found = refused;
        for (const until = performance.now() + 60_000; found !== "u7" && performance.now() < until;) {
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
      const store = await stores.of({ model: MODEL });
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

damageTest(
  "tells a rebuild that fails, and does not repeat it for each search",
  50,
  async ({ dir, folder }) => {
    const stores = new SqliteVectorStores(dir);
    const store = await stores.of({ model: MODEL });
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
