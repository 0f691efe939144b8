import assert from "node:assert/strict";
import { listen } from "../../commands/serve.ts";
import { openServices } from "../../commands/services.ts";
import { start } from "../../commands/start.ts";
import { nightlyRun, SAMPLE, withFlow, writeRows } from "../fixtures/flow.ts";
import { command, run, until, withFolder } from "../fixtures/commands.ts";
import { RawConnection } from "../fixtures/serving.ts";

for (const verb of ["serve", "start"]) {
  Deno.test(`${verb} on a port in use says so in one sentence, with what to do, and exits with 1`, () =>
    withFolder(async (folder) => {
      using other = Deno.listen({ hostname: "127.0.0.1", port: 0 });
      const { port } = other.addr as Deno.NetAddr;
      // With a file that is not there `start` has nothing to load.
      const env = { PARLEY_PORT: String(port), PARLEY_MESSAGES: `${folder}/none.ndjson` };
      const { code, stderr } = await run(folder, verb, [verb], { env });
      assert.equal(code, 1);
      assert.equal(
        stderr.split("\n").filter((line) => /port|listen|AddrInUse|at .*\.ts/.test(line)).join("\n"),
        `parley: port ${port} is in use: stop the process that uses it, or set PARLEY_PORT`,
      );
    }));
}

Deno.test("a file of experiments that cannot be used stops serve, start and exports with a sentence, and no other task", () =>
  withFlow(async (flow) => {
    const path = writeRows(flow, "experiments.json", [{ experiments: [{ id: "x" }] }]);
    const config = { ...flow.config, allow_test_embedder: true, experiments: path };
    const said = {
      code: "invalid",
      message: /^the experiments of .*experiments\.json cannot be used: .*arms is missing/,
    };
    await assert.rejects(listen(config), said);
    await assert.rejects(start(config), said);
    const { value, close } = await openServices(config);
    try {
      await assert.rejects(value.recommender.explain({ user_id: "ann", k: 3 }), said);
      assert.equal((await nightlyRun({ ...flow, config, services: value }, SAMPLE)).outcome, "success");
    } finally {
      await close();
    }
    const missing = { ...flow.config, experiments: `${path}.none` };
    await assert.rejects(
      listen(missing),
      /there is no file of experiments .*none: correct PARLEY_EXPERIMENTS, or unset it/,
    );
  }));

Deno.test("a first Ctrl-C lets serve wait for a request in progress, and a second ends it at once", () =>
  withFolder(async (folder) => {
    const child = command(folder, "serve", ["serve"], { env: { PARLEY_PORT: "0" } }).spawn();
    await child.stdin.close();
    const errors = new Response(child.stderr).text();
    const [first, second] = child.stdout.tee();
    const { text, rest } = await until(first, /answers at http:\S+:\d+/);
    const request = await RawConnection.open(Number(/http:[^:]+:(\d+)/.exec(text)![1]));
    const head = "POST /intents/classify HTTP/1.1\r\nhost: localhost\r\n" +
      "content-type: application/json\r\ncontent-length: 99\r\n";
    await request.write(`${head}expect: 100-continue\r\n\r\n`);
    // Asked for once the route reads the body: from here on the request is in progress.
    await request.read((text) => text.includes("100 Continue"));
    await request.write("{");
    const stopping = until(second, /Another Ctrl-C ends it at once\.\n/);
    child.kill("SIGINT");
    const others = (await stopping).rest();
    // A signal that comes sooner is taken for the same Ctrl-C.
    const waited = await Promise.race([child.status, new Promise((resume) => setTimeout(resume, 1_500))]);
    assert.equal(waited, undefined, "it waits for the request");
    const at = performance.now();
    child.kill("SIGINT");
    assert.equal((await child.status).code, 130, await errors);
    // The request would have ten seconds.
    assert.ok(performance.now() - at < 5_000, "it waits for nothing more");
    request.close();
    await Promise.all([rest(), others]);
  }));

Deno.test("serve loads its model before a conversation is posted, and warns if it cannot", () =>
  withFolder(async (folder) => {
    const env = {
      PARLEY_PORT: "0",
      PARLEY_EMBEDDINGS: `onnx:${folder}/no-model`,
      PARLEY_ALLOW_TEST_EMBEDDER: "1",
    };
    const child = command(folder, "serve", ["serve"], { env }).spawn();
    await child.stdin.close();
    const [answers, warnings] = [until(child.stdout, /answers at/), until(child.stderr, /lack embeddings/)];
    const { text, rest } = await warnings;
    assert.match(text, /posted conversations lack embeddings: .*no-model/);
    child.kill("SIGINT");
    await child.status;
    await Promise.all([rest(), (await answers).rest()]);
  }));
