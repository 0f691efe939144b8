import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { type Flow, flowTemplate, nightlyRun, ROOT, runDag, writeRows } from "../fixtures/flow.ts";
import { DAMAGE } from "../fixtures/index_damage.ts";
import { reembedRun } from "../fixtures/reembed.ts";
import { until } from "../fixtures/until.ts";
import { doctorReport } from "../fixtures/doctor.ts";

/** More than a scan is used for, so that the indexes of profiles and conversations are graphs. */
const USERS = 2_050;

/** Publishes users in pairs with the same interest, who were all shown something; the first of some pairs has converted on it. */
async function publishPairs(flow: Flow): Promise<void> {
  const timestamp = "2026-01-01T00:00:00Z";
  const ids = Array.from({ length: USERS }, (_, at) => at);
  const messages = ids.map((at) => {
    const pair = at >> 1;
    return { user_id: `u${at}`, message: `about ${pair} and ${pair * pair} of ${at % 2}`, timestamp };
  });
  const campaigns = [0, 1, 2].map((at) => ({ campaign_id: `c${at}`, title: `Offer ${at}` }));
  const event = (at: number, campaign_id: string, type: string) => ({
    user_id: `u${at}`,
    campaign_id,
    type,
    timestamp: "2026-01-01T00:01:00Z",
  });
  const events = [
    ...ids.map((at) => event(at, "c2", "impression")),
    ...campaigns.map(({ campaign_id }, at) => event(2 * at, campaign_id, "conversion")),
  ];
  const { outcome } = await nightlyRun(flow, {
    messages: [writeRows(flow, "m.ndjson", messages)],
    campaigns: [writeRows(flow, "c.ndjson", campaigns)],
    events: [writeRows(flow, "e.ndjson", events)],
  });
  assert.equal(outcome, "success");
}

/** Wide vectors take seconds to index, in which there is time to ask. */
const WIDE = { PARLEY_EMBEDDINGS: "test:384" };

const withPairs = flowTemplate(publishPairs);
const withWidePairs = flowTemplate(publishPairs, WIDE);

/** Damages the file of an index, or drops its row as a database from an older backup lacks it. */
function damage({ config }: Flow, kind: string, index: string): void {
  if (kind === "not in the database") {
    for (const { name } of [...Deno.readDirSync(`${config.data}/vectors`)]) {
      if (!name.endsWith(".db")) continue;
      using db = new DatabaseSync(`${config.data}/vectors/${name}`);
      db.prepare("DELETE FROM indexes WHERE collection || '-' || version = ?").run(index);
    }
    return;
  }
  const folders = [...Deno.readDirSync(`${config.data}/vectors`)].filter(({ isDirectory }) => isDirectory);
  const paths = folders.flatMap(({ name: folder }) =>
    [...Deno.readDirSync(`${config.data}/vectors/${folder}`)].filter(({ name }) =>
      name.startsWith(`${index}.`)
    )
      .map(({ name }) => `${config.data}/vectors/${folder}/${name}`)
  );
  assert.equal(paths.length, 1);
  DAMAGE[kind]!(paths[0]!, "");
}

async function logOf({ runs }: Flow, run_id: string): Promise<string> {
  return (await runs.logs({ run_id, after: 0, limit: 1_000 })).map(({ line }) => line).join("\n");
}

Deno.test("doctor names a damaged index and a remedy that works", () =>
  withPairs(async (flow) => {
    assert.deepEqual((await doctorReport(flow.config)).findings, []);
    damage(flow, "flipped in the middle", "profiles-1");
    const ill = await doctorReport(flow.config);
    assert.equal(ill.code, 0, "serving rebuilds it by itself");
    assert.deepEqual(ill.findings.map(({ code }: { code: string }) => code), ["damaged_index"]);
    const [, fault] = /^(.*); an API .* `deno task pipeline run reembed` /.exec(ill.findings[0]!.text) ?? [];
    assert.equal(fault, "The index profiles-1 is damaged: its file has other bytes than were written");

    const { outcome, snapshot } = await runDag(flow, "reembed", {});
    assert.equal(outcome, "success");
    assert.match(
      await logOf(flow, snapshot.run.run_id),
      /the index profiles-1 is damaged: .*; the index of version 2 is built without it/,
    );
    const { code, findings } = await doctorReport(flow.config);
    assert.deepEqual({ code, findings }, { code: 0, findings: [] });
  }));

Deno.test("a nightly run starts from the rows if the index that serves is damaged", () =>
  withPairs(async (flow) => {
    damage(flow, "empty", "profiles-1");
    const late = { user_id: "late", message: "about 7 and 49 of 1", timestamp: "2026-01-02T00:00:00Z" };
    const messages = [writeRows(flow, "late.ndjson", [late])];
    const { outcome, snapshot } = await nightlyRun(flow, { messages });
    assert.equal(outcome, "success");
    assert.match(
      await logOf(flow, snapshot.run.run_id),
      /the index profiles-1 is damaged: .*; the index of version 2 is built without it/,
    );
    assert.equal((await doctorReport(flow.config)).code, 0);
  }));

Deno.test("reembed changes the model although an index that serves is damaged", () =>
  withPairs(async (flow) => {
    damage(flow, "halved", "profiles-1");
    const { outcome, snapshot } = await reembedRun(flow, "test:128");
    assert.equal(outcome, "success");
    assert.match(
      await logOf(flow, snapshot.run.run_id),
      /neighbours could not be compared with those that are published: the index profiles-1 is damaged/,
    );
  }));

for (const kind of ["empty", "flipped at the end", "not in the database"]) {
  Deno.test(`serve answers without an index that is ${kind}, says so, and rebuilds it`, () =>
    withWidePairs(async (flow) => {
      damage(flow, kind, "conversations-1");
      const child = new Deno.Command("deno", {
        args: ["run", "--quiet", "--allow-all", `${ROOT}main.ts`, "serve"],
        env: {
          ...WIDE,
          PARLEY_ALLOW_TEST_EMBEDDER: "1",
          PARLEY_PORT: "0",
          PARLEY_DATA: flow.config.data,
        },
        stdout: "piped",
        stderr: "piped",
      }).spawn();
      const log = new Response(child.stderr).text();
      const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
      const json = async (path: string) => {
        const response = await fetch(url + path);
        assert.equal(response.status, 200);
        return await response.json();
      };
      let url = "";
      try {
        url = /http:\S+/.exec((await reader.read()).value ?? "")?.[0] ?? "";
        // The index is rebuilt meanwhile, within milliseconds or seconds.
        assert.ok((await json("/recommendations/u1?k=3")).items.length > 0);
        await until(async () => (await json("/readyz")).status === "ready");
        await until(async () => (await json("/recommendations/u1?k=3")).degraded.length === 0);
        const { items } = await json("/recommendations/u1?k=3");
        assert.equal(items[0].campaign_id, "c0");
        assert.ok(items[0].sources.similar_conversations > 0);
      } finally {
        child.kill("SIGTERM");
        await reader.cancel();
        await child.status;
      }
      assert.match(
        await log,
        /(the index conversations-1 is damaged: .*|no index of conversations was built .*); it is being rebuilt from the rows/,
      );
      assert.equal((await doctorReport(flow.config, WIDE)).code, 0);
    }));
}
