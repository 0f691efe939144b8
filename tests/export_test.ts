import assert from "node:assert/strict";
import { builtInDags, engine, executeQueued } from "../commands/engine.ts";
import { systemClock } from "../lib/core/clock.ts";
import { createRun } from "../lib/dag/runs.ts";
import type { UserAnswer } from "../lib/recommend/answer.ts";
import { IdSigner } from "../lib/recommend/recommendation_id.ts";
import type { Services } from "../tasks/services.ts";
import type { ExportOutput } from "../tasks/steps/export.ts";
import { runHere } from "./fixtures/commands.ts";
import { type Flow, flowTemplate, loadSample, runDag, withFlow } from "./fixtures/flow.ts";

const SECRET = "a secret of at least thirty-two characters";

const withSample = flowTemplate(loadSample);

/** An answer without when it was computed, which its id has too. */
type Timeless = Omit<UserAnswer, "generated_at" | "recommendation_id">;

function timeless({ generated_at: _, recommendation_id: _id, ...answer }: UserAnswer): Timeless {
  return answer;
}

function answersIn(path: string): Timeless[] {
  const lines = Deno.readTextFileSync(path).trimEnd().split("\n");
  return lines.map((line) => timeless(JSON.parse(line)));
}

async function exportWith(flow: Flow, params: Record<string, string | number> = {}): Promise<ExportOutput> {
  const { outcome, snapshot } = await runDag(flow, "export", params);
  assert.equal(outcome, "success", snapshot.run.error ?? "");
  return snapshot.tasks[0]!.output as unknown as ExportOutput;
}

Deno.test("an export has the answer that the API gives for each known user, in ascending id", () =>
  withSample(async (flow) => {
    const { services } = flow;
    const users = await services.analytics.knownUsers({ after: null, limit: 1_000 });
    const output = await exportWith(flow, { k: 4 });
    const answers = answersIn(output.file);
    assert.deepEqual(answers.map(({ user_id }) => user_id), users);
    assert.ok(users.length > 50, `${users.length} users`);
    for (const [i, user_id] of users.entries()) {
      assert.deepEqual(
        answers[i],
        timeless((await services.recommender.explain({ user_id, k: 4 })).answer),
      );
    }
    const { size } = Deno.statSync(output.file);
    const items = answers.reduce((sum, { items }) => sum + items.length, 0);
    assert.deepEqual(output, { file: output.file, users: users.length, items, bytes: size });
    const csv = await exportWith(flow, { format: "csv", k: 4 });
    const [header, ...rows] = Deno.readTextFileSync(csv.file).trimEnd().split("\n");
    assert.match(header!, /^user_id,position,campaign_id,/);
    assert.deepEqual(
      rows.map((row) => row.split(",").slice(0, 3).join()),
      answers.flatMap(({ user_id, items }) =>
        items.map(({ campaign_id }, at) => `${user_id},${at + 1},${campaign_id}`)
      ),
    );
  }));

Deno.test("the ids of exported answers are signed with the configured secret, as those of the API are", () =>
  withFlow(async (flow) => {
    await loadSample(flow);
    const { file } = await exportWith(flow, { k: 2 });
    const [answer] = Deno.readTextFileSync(file).trimEnd().split("\n").map((line) => JSON.parse(line));
    const signer = new IdSigner(new TextEncoder().encode(SECRET));
    assert.equal(signer.read(answer.recommendation_id).user_id, answer.user_id);
  }, { PARLEY_SECRET: SECRET }));

Deno.test("an export of active users has those with a message or an event since then", () =>
  withSample(async (flow) => {
    const { services: { analytics, documents } } = flow;
    const lastOf = new Map<string, string>();
    const see = (user_id: string, at: string) => {
      if (at > (lastOf.get(user_id) ?? "")) lastOf.set(user_id, at);
    };
    for (const row of await documents.page({ after: null, limit: 10_000 })) {
      if (row.role === "user") see(row.user_id, row.timestamp);
    }
    const users = await analytics.knownUsers({ after: null, limit: 1_000 });
    for (const row of await analytics.eventsOf({ user_ids: users, limit: 100 })) {
      see(row.user_id, row.timestamp);
    }
    const since = [...lastOf.values()].sort()[Math.floor(lastOf.size / 2)]!;
    const active = users.filter((user_id) => lastOf.get(user_id)! >= since);
    assert.ok(active.length > 5 && active.length < users.length - 5, `${active.length} of ${users.length}`);
    const { file } = await exportWith(flow, { active_since: since });
    assert.deepEqual(answersIn(file).map(({ user_id }) => user_id), active);
    const none = await exportWith(flow, { active_since: "2099-01-01" });
    assert.deepEqual([none.users, Deno.readTextFileSync(none.file)], [0, ""]);
    await assert.rejects(runDag(flow, "export", { active_since: "yesterday" }), { code: "invalid" });
  }));

Deno.test("an export that is interrupted continues where its file was whole, and one whose file was removed starts again", () =>
  withSample(async (flow) => {
    const { config, services, runs } = flow;
    const whole = answersIn((await exportWith(flow)).file);
    const dag = builtInDags(config).get("export")!;
    for (const isRemoved of [false, true]) {
      const { run_id } = await createRun({ dag, runs, clock: systemClock, params: {} });
      const stop = new AbortController();
      let asked = 0;
      const stopping: Services = {
        ...services,
        analytics: paging(services.analytics, 25),
        recommender: {
          explain: (request) => {
            if (++asked === 40) stop.abort();
            return services.recommender.explain(request);
          },
        },
      };
      const options = { ...engine({ config, runs, services: stopping }), random: () => 0 };
      await executeQueued(options, stop.signal, { until: run_id });
      const part = `${config.data}/exports/${run_id}.ndjson.part`;
      const before = answersIn(part);
      assert.deepEqual(before, whole.slice(0, 25));
      if (isRemoved) await services.exports.deleteUsers({ user_ids: [whole[0]!.user_id] });
      asked = 100;
      const outcome = await executeQueued(options, new AbortController().signal, { until: run_id });
      assert.equal(outcome, "success");
      assert.equal(asked - 100, isRemoved ? whole.length : whole.length - 25);
      assert.deepEqual(answersIn(part.slice(0, -".part".length)), whole);
      assert.throws(() => Deno.statSync(part), Deno.errors.NotFound);
    }
  }));

/** Analytics that lists at most so many known users at a time, so that few users take several batches. */
function paging(analytics: Services["analytics"], most: number): Services["analytics"] {
  return new Proxy(analytics, {
    get: (target, name) => {
      if (name === "knownUsers") {
        return (options: { after: string | null; limit: number }) =>
          target.knownUsers({ ...options, limit: options.limit === 200 ? most : options.limit });
      }
      const value = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

Deno.test("an export writes no answer that a store is missing from", () =>
  withSample(async (flow) => {
    const { config, services, runs } = flow;
    const dag = builtInDags(config).get("export")!;
    const { run_id } = await createRun({ dag, runs, clock: systemClock, params: {} });
    const recommender: Services["recommender"] = {
      explain: async (request) => ({
        ...await services.recommender.explain(request),
        failures: new Map([["graph", new Error("the socket was closed")]]),
      }),
    };
    const options = { ...engine({ config, runs, services: { ...services, recommender } }), random: () => 0 };
    assert.equal(await executeQueued(options, new AbortController().signal, { until: run_id }), "failed");
    assert.equal(Deno.readTextFileSync(`${config.data}/exports/${run_id}.ndjson.part`), "");
  }));

Deno.test("export prints where the file is, or moves it to --out, and refuses a place where no file can be", () =>
  withSample(async ({ input }) => {
    const command = (...args: string[]) =>
      runHere(input, ["export", ...args], { env: { PARLEY_DATA: `${input}/data` } });
    const out = `${input}/answers.csv`;
    const moved = await command("--format", "csv", "--k", "2", "--out", out, "--json");
    assert.equal(moved.code, 0, moved.stderr);
    assert.equal(JSON.parse(moved.stdout).file, out);
    assert.match(Deno.readTextFileSync(out), /^user_id,position,/);
    assert.deepEqual([...Deno.readDirSync(`${input}/data/exports`)], []);
    const stays = await command();
    assert.equal(stays.code, 0, stays.stderr);
    const [, file] = /^file: (.*\.ndjson)$/m.exec(stays.stdout)!;
    assert.equal(answersIn(file!).length, 60);
    for (const place of [`${input}/missing/x.ndjson`, input]) {
      const refused = await command("--out", place);
      assert.equal(refused.code, 2, refused.stderr);
      assert.match(refused.stderr, /--out .* (folder does not exist|is a folder)/);
    }
    assert.equal((await command("--k", "101")).code, 2);
    assert.equal((await command("--format", "xml")).code, 2);
  }));

Deno.test("an export fails with the reason if nothing has been published, and retention removes old ones", () =>
  withFlow(async (flow) => {
    const { services } = flow;
    await services.analytics.setWords({
      user_ids: ["u"],
      profiles: [{ user_id: "u", words: {}, named: [], negations: [] }],
      conversations: [],
    });
    const { outcome, snapshot } = await runDag(flow, "export", {});
    assert.equal(outcome, "failed");
    assert.match(snapshot.run.error!, /no data has been published yet/);
    const part = `${flow.config.data}/exports/${snapshot.run.run_id}.ndjson.part`;
    await Deno.utime(part, new Date(0), new Date(0));
    await loadSample(flow);
    assert.throws(() => Deno.statSync(part), Deno.errors.NotFound);
  }));
