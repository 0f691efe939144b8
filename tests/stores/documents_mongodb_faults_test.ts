/** What can go wrong before a MongoDB is of use, against servers that misbehave: needs no MongoDB. */
import assert from "node:assert/strict";
import { MongoDocuments } from "../../lib/stores/documents/mongodb/mongo_documents.ts";
import { mongoFake } from "../fixtures/mongo_fake.ts";

const SECRET = "swordfish";

/** Opens a store and expects one sentence, and the password nowhere in what could be logged. */
async function refuses(address: string, code: string, sentence: RegExp): Promise<void> {
  const store = new MongoDocuments({ url: new URL(`mongodb://reader:${SECRET}@${address}`), call_ms: 3_000 });
  const error = await store.counts().then(() => assert.fail("it opened"), (error) => error);
  await store.close();
  assert.equal(error.code, code, error.message);
  assert.match(error.message, sentence);
  assert.ok(!error.message.includes("\n"));
  assert.ok(!Deno.inspect(error, { depth: 20, showHidden: true }).includes(SECRET));
}

async function refusesFake(
  options: Parameters<typeof mongoFake>[0],
  code: string,
  sentence: RegExp,
  path = "/parley",
): Promise<void> {
  const fake = await mongoFake(options);
  await refuses(fake.host + path, code, sentence);
  await fake.close();
}

Deno.test("MongoDocuments says that no server listens", () =>
  refuses(
    "127.0.0.1:1/parley",
    "unavailable",
    /^MongoDB at 127\.0\.0\.1:1 refused the connection: is it running/,
  ));

Deno.test("MongoDocuments says that the host has no address", () =>
  refuses("nowhere.invalid/parley", "unavailable", /^MongoDB at nowhere\.invalid cannot be found/));

Deno.test("MongoDocuments says that the login is wrong", () =>
  refusesFake(
    {
      answer: () => ({ ok: 0, code: 18, codeName: "AuthenticationFailed", errmsg: "Authentication failed." }),
    },
    "denied",
    /refused the login: correct user, password or \?authSource=/,
  ));

Deno.test("MongoDocuments says that the server is too old", () =>
  refusesFake({ hello: { maxWireVersion: 6 } }, "mismatch", /is too old: this Parley needs 4\.4/));

Deno.test("MongoDocuments says that the server does not speak TLS", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const served = (async () => {
    for await (const socket of listener) {
      await socket.read(new Uint8Array(1_000));
      socket.close();
    }
  })();
  await refuses(`127.0.0.1:${listener.addr.port}/parley?tls=true`, "unavailable", /does it speak TLS\?$/);
  listener.close();
  await served;
});

Deno.test("MongoDocuments says that a server which is silent did not answer", () =>
  refusesFake({ answer: () => null }, "unavailable", /did not answer/));

Deno.test("MongoDocuments says what is wrong with its URL", async () => {
  await refuses(
    "127.0.0.1:1/parley?nonsense=1",
    "invalid",
    /^PARLEY_DOCUMENTS .* its parameters' names and values$/,
  );
  await refuses("127.0.0.1:1/par%20ley.x", "invalid", /^PARLEY_DOCUMENTS .*the name of its database/);
});

Deno.test("MongoDocuments says that the user may not write", async () => {
  const fake = await mongoFake({
    answer: (command) =>
      command === "createIndexes" ? { ok: 0, code: 13, errmsg: "not authorized" } : { ok: 1 },
  });
  const store = new MongoDocuments({ url: new URL(`mongodb://${fake.host}`), call_ms: 3_000 });
  await assert.rejects(store.counts(), { code: "denied", message: /grant the role readWrite/ });
  await store.close();
  await fake.close();
});

Deno.test("MongoDocuments that was never used closes, and opens no more", async () => {
  const store = new MongoDocuments({ url: new URL("mongodb://127.0.0.1:1") });
  await store.close();
  await assert.rejects(store.counts(), { code: "unavailable", message: /has been closed/ });
});

Deno.test("MongoDocuments.close() while it connects is complete", async () => {
  const fake = await mongoFake({ answer: () => null });
  const store = new MongoDocuments({ url: new URL(`mongodb://${fake.host}`) });
  const call = assert.rejects(store.counts(), { code: "unavailable", message: /has been closed/ });
  await new Promise((resolve) => setTimeout(resolve, 100));
  const start = performance.now();
  await store.close();
  await call;
  assert.ok(performance.now() - start < 10_000);
  await fake.close();
});
