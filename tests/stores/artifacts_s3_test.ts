import assert from "node:assert/strict";
import { loadS3 } from "../../deps.ts";
import { datasetName, openArtifacts } from "../../lib/stores/open.ts";
import { artifactsContract } from "../contracts/artifacts.ts";

const SERVER = Deno.env.get("PARLEY_TEST_S3");
const NEEDS = "needs PARLEY_TEST_S3=s3://KEY:SECRET@bucket?endpoint=http://host:port";

/** A prefix of its own in the bucket, which is created if it does not exist. */
async function open() {
  const url = new URL(SERVER!);
  const { S3Client } = await loadS3();
  const client = new S3Client({
    endPoint: url.searchParams.get("endpoint")!,
    region: "us-east-1",
    accessKey: url.username,
    secretKey: url.password,
  });
  if (!await client.bucketExists(url.hostname)) await client.makeBucket(url.hostname);
  url.pathname = `/tests/${crypto.randomUUID()}`;
  const scratch = await Deno.makeTempDir();
  const store = await openArtifacts(url, { scratch });
  const close = async () => {
    await store.prune({ before: "9999-12-31T00:00:00.000Z" });
    await store.close();
    await Deno.remove(scratch, { recursive: true });
  };
  return { url, store, close };
}

if (SERVER === undefined) Deno.test.ignore(`S3Artifacts: ${NEEDS}`, () => {});
else {
  artifactsContract("S3Artifacts", open);

  Deno.test("S3Artifacts uploads in parts, and says what is wrong without the secret", async () => {
    const { url, store, close } = await open();
    try {
      // Random text hardly compresses: three parts.
      const line = () => crypto.getRandomValues(new Uint8Array(65_536)).toBase64();
      const lines = Array.from({ length: 300 }, line);
      const many = async function* () {
        yield* lines;
      };
      const { uri } = await store.writeLines({ name: "run/embed/large", lines: many() });
      assert.deepEqual(await Array.fromAsync(store.readLines({ uri })), lines);
      assert.deepEqual(datasetName(url, "run/embed/large"), {
        namespace: `s3://${url.host}`,
        name: `${url.pathname.slice(1)}/run/embed/large`,
      });
      const wrong = new URL(url);
      wrong.password = "wrong-secret";
      const denied = await openArtifacts(wrong);
      await assert.rejects(denied.health(), (error: Error) => {
        assert.match(error.message, /refused the key: correct PARLEY_ARTIFACTS/);
        return !error.message.includes("wrong-secret");
      });
      const missing = new URL(url.href.replace(url.host, "no-such-bucket"));
      await assert.rejects((await openArtifacts(missing)).health(), /has no bucket of that name/);
    } finally {
      await close();
    }
  });
}
