import assert from "node:assert/strict";
import { ESCAPED, KEY, MARK, MarkedFolder, SHOWN } from "./fixtures/secrets.ts";

/** Keys, and URLs of places where nothing listens. */
const ELSEWHERE = {
  PARLEY_EMBEDDINGS_KEY: MARK,
  PARLEY_LINEAGE_KEY: MARK,
  PARLEY_NOTIFY_SLACK: `http://127.0.0.1:1/${MARK}`,
  HF_TOKEN: MARK,
  PARLEY_SECRET: MARK.repeat(8),
  PARLEY_API_KEYS: `admin+read:${KEY}`,
  PARLEY_LINEAGE: `http://127.0.0.1:1/hook/${MARK}?token=${MARK}#${MARK}`,
  PARLEY_EMBEDDINGS: `http://127.0.0.1:1/v1/embeddings?model=m&dimensions=8&api_key=${MARK}`,
  PARLEY_MODELS: `https://127.0.0.1:1/v1?model=n&key=${MARK}`,
  HF_ENDPOINT: `http://127.0.0.1:1/?token=${MARK}`,
};

const LOGINS = {
  PARLEY_DOCUMENTS: `mongodb://${MARK}:${ESCAPED}@127.0.0.1:1/parley?serverSelectionTimeoutMS=500`,
  PARLEY_VECTORS: `https://${ESCAPED}@127.0.0.1:1`,
  PARLEY_GRAPH: `bolt://${MARK}:${ESCAPED}@127.0.0.1:1`,
  PARLEY_CACHE: `redis://:${ESCAPED}@127.0.0.1:1`,
};

const PARAMETERS = {
  PARLEY_DOCUMENTS:
    `mongodb://127.0.0.1:1/parley?sslpassword=${MARK}&authMechanismProperties=${MARK}:${MARK}&${MARK}=1`,
  PARLEY_VECTORS: `milvus://127.0.0.1:1?token=${MARK}&${MARK}`,
  PARLEY_GRAPH: `bolt://127.0.0.1:1?${MARK}=1&password=${ESCAPED}`,
  PARLEY_CACHE: `redis://127.0.0.1:1?${MARK}=${MARK}`,
};

/** What was meant as a login is read as another part of the URL. */
const MISPLACED = {
  PARLEY_DOCUMENTS: `mongodb:user:${MARK}@127.0.0.1:1/parley`,
  PARLEY_VECTORS: `milvus:/${MARK}@127.0.0.1:1`,
  PARLEY_GRAPH: `bolt:neo4j:${ESCAPED}@127.0.0.1:1`,
  PARLEY_CACHE: `redis::${MARK}@127.0.0.1:1`,
  PARLEY_EMBEDDINGS: `http://${MARK}:${MARK}@127.0.0.1:1/v1?model=m`,
};

const REMOTE = {
  "with a login": { ...LOGINS, PARLEY_ANALYTICS: `postgres://parley:${ESCAPED}@127.0.0.1:1/parley` },
  "in its parameters": {
    ...PARAMETERS,
    PARLEY_ANALYTICS: `postgres://p@127.0.0.1:1/p?sslpassword=${MARK}&${MARK}`,
  },
  "in the wrong place": { ...MISPLACED, PARLEY_ANALYTICS: `postgres:/parley:${MARK}@127.0.0.1:1/parley` },
};

for (const [what, { PARLEY_ANALYTICS, ...urls }] of Object.entries(REMOTE)) {
  Deno.test(`nothing that is printed or served has a secret in it: URLs ${what}`, () =>
    // At once, because each waits seconds for what does not answer.
    Promise.all([
      MarkedFolder.open({ ...ELSEWHERE, ...urls }, async (folder) => {
        assert.equal(await folder.run("doctor"), 1);
        assert.deepEqual(folder.leaks(), []);
      }),
      MarkedFolder.open({ ...ELSEWHERE, ...urls }, async (folder) => {
        await folder.run("pipeline", "run", "reembed", "--param", `model=${ELSEWHERE.PARLEY_MODELS}`);
        await folder.runHere("pipeline", "runs", "--json");
        await folder.runHere(
          "pipeline",
          "run",
          "reembed",
          "--param",
          `model=https://127.0.0.1:1/v1?model=x&key=${MARK}`,
        );
        await folder.runHere("pipeline", "show", "reembed", "--json");
        await folder.serve(SHOWN);
        assert.deepEqual(folder.leaks(), []);
        assert.ok(
          [...folder.output.values()].join("").includes("127.0.0.1"),
          "there is something to look at",
        );
      }),
      MarkedFolder.open({ ...ELSEWHERE, ...urls, PARLEY_ANALYTICS }, async (folder) => {
        assert.equal(await folder.run("doctor", "--json"), 1);
        await folder.runHere("pipeline", "list");
        assert.deepEqual(folder.leaks(), []);
      }),
    ]).then(() => {}));
}

Deno.test("the error of a wrong setting does not show its value", () =>
  MarkedFolder.open({
    PARLEY_DOCUMENTS: `mongodb://u:${MARK}@h1:1,h2:2/`,
    PARLEY_VECTORS: `https://${MARK}/more@127.0.0.1:1`,
    PARLEY_GRAPH: `neo4j://${MARK}/x@127.0.0.1:1`,
    PARLEY_ANALYTICS: `postgres://u:${MARK}@h:port/db`,
    PARLEY_CACHE: `redis://:${MARK}/@[::1/0`,
    PARLEY_EMBEDDINGS: `https://${MARK}/k@127.0.0.1:1/v1?model=m`,
    PARLEY_MODELS: `https://${MARK} ${MARK}`,
    PARLEY_LINEAGE: `https://u:1234/${MARK}@127.0.0.1:1/`,
    HF_ENDPOINT: `https://${MARK}/x@127.0.0.1:1`,
    PARLEY_API_KEYS: `root:${KEY}`,
  }, async (folder) => {
    assert.equal(await folder.run("doctor"), 2);
    for (const verb of ["pipeline", "serve"]) assert.equal(await folder.runHere(verb), 2);
    assert.match(folder.output.get("doctor")!, /the configuration has 10 problem\(s\)/);
    assert.deepEqual(folder.leaks(), []);
  }));
