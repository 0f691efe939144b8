import assert from "node:assert/strict";
import { loadConfig } from "../../lib/config.ts";

const settings = () =>
  Deno.readTextFileSync(new URL("../../.env.example", import.meta.url)).split("\n")
    .flatMap((line) => /^(PARLEY_\w+)=(.*)$/.exec(line)?.slice(1) ?? []);

Deno.test("loadConfig() takes an empty environment and gives absolute places", () => {
  const config = loadConfig({}, "/home/somebody");
  assert.equal(config.data, "/home/somebody/.parley");
  assert.equal(config.documents.href, "sqlite:/home/somebody/.parley/documents.db");
  assert.equal(config.port, 8000);
  assert.ok(Object.isFrozen(config));
});

Deno.test("loadConfig() reports every problem at once", () => {
  const env = { PARLEY_PORT: "x", PARLEY_MAX_BAD_SHARE: "2", PARLEY_NONSENSE: "1" };
  assert.throws(() => loadConfig(env), /PORT[^]*MAX_BAD_SHARE|NONSENSE[^]*PORT[^]*MAX_BAD_SHARE/);
});

Deno.test("loadConfig() refuses an address that can be reached from outside without keys", () => {
  assert.throws(() => loadConfig({ PARLEY_HOST: "0.0.0.0" }), /can be reached from outside/);
  const key = "0123456789abcdef";
  const config = loadConfig({ PARLEY_HOST: "0.0.0.0", PARLEY_API_KEYS: `read+admin:${key}` });
  assert.deepEqual(config.keys, [{ key, scopes: ["read", "admin"] }]);
  assert.throws(() => loadConfig({ PARLEY_API_KEYS: "root:0123456789abcdef" }), /key 1/);
});

Deno.test("loadConfig() takes a lineage sink by http alone, and its token apart from its URL", () => {
  const { lineage, lineage_key } = loadConfig({
    PARLEY_LINEAGE: "http://marquez:5000",
    PARLEY_LINEAGE_KEY: "token",
  });
  assert.deepEqual([lineage?.href, lineage_key], ["http://marquez:5000/", "token"]);
  assert.equal(loadConfig({ PARLEY_LINEAGE: "" }).lineage, null);
  for (const wrong of ["marquez:5000", "kafka://broker/topic", "here"]) {
    assert.throws(() => loadConfig({ PARLEY_LINEAGE: wrong }), /PARLEY_LINEAGE is not a URL such as/);
  }
  assert.throws(() => loadConfig({ PARLEY_LINEAGE: "http://me:secret@marquez" }), (error: Error) => {
    return /set PARLEY_LINEAGE_KEY/.test(error.message) && !error.message.includes("secret");
  });
});

Deno.test(".env.example has every setting with its default", () => {
  const pairs = settings();
  const example = Object.fromEntries(pairs.flatMap((name, i) => i % 2 === 0 ? [[name, pairs[i + 1]!]] : []));
  assert.deepEqual(loadConfig(example, "/x"), loadConfig({}, "/x"));
  assert.ok(Object.keys(example).length >= 20);
});

Deno.test("the README names every setting", () => {
  const readme = Deno.readTextFileSync(new URL("../../README.md", import.meta.url));
  const missing = settings().filter((name, i) => i % 2 === 0 && !readme.includes(`\`${name}\``));
  assert.deepEqual(missing, []);
});
