/** Beyond what is searched exactly the embedded index and Milvus are two approximations, whose answers agree nearly. */
import assert from "node:assert/strict";
import { FLAT_MAX } from "../../lib/stores/vectors/rows.ts";
import { answersOf } from "../fixtures/answers.ts";
import { ALL_SETTINGS } from "../fixtures/faults.ts";
import { type Flow, nightlyRun, SAMPLE, withFlow, writeRows } from "../fixtures/flow.ts";
import { freshServers, missingServers } from "../fixtures/servers.ts";

/** Mean share of the ten campaigns that both sides answer with. */
const OVERLAP = 0.95;
/** Of each campaign of the sample: so many that the index of campaigns is a graph. */
const VARIATIONS = 45;

type Row = Readonly<Record<string, unknown>>;
const rowsOf = (path: string): Row[] =>
  Deno.readTextFileSync(path).trim().split("\n").map((line) => JSON.parse(line));

/** Answers by user of the sample, with variations of its campaigns, and no events: those would outweigh the vectors. */
async function answers(flow: Flow): Promise<Record<string, string[]>> {
  const varied = rowsOf(SAMPLE.campaigns[0]!).flatMap((row) =>
    Array.from({ length: VARIATIONS }, (_, i) => ({
      ...row,
      campaign_id: `${row.campaign_id}-${i}`,
      title: `${row.title} ${i} ${i * i}`,
    }))
  );
  assert.ok(varied.length > FLAT_MAX);
  const campaigns = [...SAMPLE.campaigns, writeRows(flow, "varied.ndjson", varied)];
  const { outcome, snapshot } = await nightlyRun(flow, { messages: SAMPLE.messages, campaigns });
  assert.equal(outcome, "success", snapshot.run.error ?? "");
  return await answersOf(flow, [
    ...new Set(rowsOf(SAMPLE.messages[0]!).map(({ user_id }) => String(user_id))),
  ]);
}

const missing = missingServers(ALL_SETTINGS);
Deno.test({
  name: `answers from approximate search overlap on servers and embedded stores${
    missing.length > 0 ? `: ${missing.join(", ")} not set` : ""
  }`,
  ignore: missing.length > 0,
  async fn() {
    const { env, drop } = freshServers(ALL_SETTINGS);
    try {
      const sides: Record<string, string[]>[] = [];
      for (const set of [{}, env]) {
        await withFlow(async (flow) => void sides.push(await answers(flow)), set);
      }
      const [embedded, servers] = sides as [Record<string, string[]>, Record<string, string[]>];
      const users = Object.keys(embedded);
      const shared = users.map((user) => {
        assert.equal(servers[user]!.length, 10);
        return embedded[user]!.filter((id) => servers[user]!.includes(id)).length / 10;
      });
      const overlap = shared.reduce((sum, share) => sum + share, 0) / users.length;
      console.log(`overlap@10 of ${users.length} users: ${overlap.toFixed(3)}`);
      assert.ok(overlap >= OVERLAP, `overlap@10 is ${overlap.toFixed(3)}`);
      const varied = Object.values(servers).flat().filter((id) => /-\d+$/.test(id)).length;
      assert.ok(varied > users.length, `the variations are answered with: ${varied}`);
    } finally {
      await drop();
    }
  },
});
