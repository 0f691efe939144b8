import assert from "node:assert/strict";
import { modelKey } from "../lib/core/types.ts";
import type { BuildStatsOptions } from "../lib/stores/analytics/port.ts";
import { states } from "./fixtures/dag.ts";
import {
  digests,
  type Flow,
  flowTemplate,
  loadSample,
  nightlyRun,
  runDag,
  SAMPLE,
  writeRows,
} from "./fixtures/flow.ts";
import {
  answersOf,
  itemsOf,
  modelsOf,
  QUESTIONS,
  reembedRun,
  setTo,
  unmixed,
  vectorDigest,
  whileAsking,
} from "./fixtures/reembed.ts";
import { TINY } from "./fixtures/models.ts";

const SMALL = "test:64";
const LARGE = "test:128";
const withSample = flowTemplate(loadSample, { PARLEY_EMBED_SESSIONS: "1" });

const outputOf = <T>({ tasks }: Awaited<ReturnType<typeof runDag>>["snapshot"], id: string) =>
  tasks.find(({ task_id }) => task_id === id)?.output as T;
const published = async ({ services }: Flow) => await services.analytics.published();

Deno.test("reembed changes 64 dimensions to 1,024 of an ONNX model and back, and no answer mixes the two", () =>
  withSample(async (flow) => {
    const to = `onnx:${TINY}`;
    const before = { answers: await answersOf(flow), vectors: await vectorDigest(flow, SMALL) };
    const during = await whileAsking(flow, () => reembedRun(flow, to));
    const there = await answersOf(flow);
    assert.notDeepEqual(
      itemsOf(there),
      itemsOf(before.answers),
      "the models answer alike, so nothing is tested",
    );
    unmixed(during, { 1: before.answers, 2: there });
    assert.deepEqual(new Set(during.map(({ version }) => version)), new Set([1, 2]));
    assert.equal((await flow.services.embedder(to)).model.dimension, 1_024);
    assert.match((await published(flow))?.model ?? "", /\/1024\/mean$/);

    const goingBack = await whileAsking(flow, async () => {
      const { snapshot } = await reembedRun(flow, SMALL);
      assert.equal(outputOf<{ embedded: number }>(snapshot, "embed").embedded, 0);
    });
    const back = await answersOf(flow);
    unmixed(goingBack, { 2: there, 3: back });
    assert.deepEqual(itemsOf(back), itemsOf(before.answers));
    assert.equal(await vectorDigest(flow, SMALL), before.vectors);
  }));

Deno.test("reembed says first how much there is to do, and reports how many neighbours stay", () =>
  withSample(async (flow) => {
    const { snapshot } = await reembedRun(flow, LARGE);
    const { run_id } = snapshot.run;
    const log = await flow.runs.logs({ run_id, after: 0, limit: 100 });
    assert.match(
      log[0]!.line,
      /^692 rows, \d+ distinct texts; \d+ have no vector by test@\S+\/128\/mean yet$/,
    );
    assert.match(
      log[1]!.line,
      /^at \d+ texts\/s, measured just now, that takes about \d+ s; their vectors take/,
    );
    const { missing } = outputOf<{ missing: number }>(snapshot, "estimate");
    const embedded = ["embed", "conversations"].map((id) =>
      outputOf<{ embedded: number }>(snapshot, id).embedded
    );
    assert.ok(embedded.every((count) => count > 100));
    assert.equal(missing, embedded[0]! + embedded[1]!);
    const { overlap } = outputOf<{ overlap: Record<string, number> }>(snapshot, "check");
    assert.equal(overlap.users, 60);
    for (const what of ["profiles", "campaigns"]) assert.ok(overlap[what]! > 0.2 && overlap[what]! < 1, what);
    const lineage = await flow.runs.lineage({ run_id });
    const kept = lineage.flatMap(({ quality }) => quality.overlap_at_10 ?? []);
    assert.deepEqual(kept, [overlap.profiles, overlap.campaigns]);
    assert.equal(states(snapshot).drop, "skipped");
    // By the same model again, every neighbour stays.
    const repeated = await reembedRun(flow, LARGE);
    const same = outputOf<{ overlap: object }>(repeated.snapshot, "check").overlap;
    assert.deepEqual(same, { users: 60, profiles: 1, campaigns: 1 });
  }));

Deno.test("reembed goes back to vectors that it catches up, as if there had been no other model", () =>
  withSample(async (flow) => {
    const more = (to: Flow) => {
      const rows = Deno.readTextFileSync(SAMPLE.messages[0]!).trimEnd().split("\n").slice(0, 30);
      const changed = rows.map((row) => ({
        ...JSON.parse(row),
        message: `${JSON.parse(row).message} Again!`,
      }));
      return { messages: [writeRows(to, "more.ndjson", changed)] };
    };
    await reembedRun(flow, LARGE);
    assert.equal((await nightlyRun(setTo(flow, LARGE), more(flow))).outcome, "success");
    const { snapshot } = await reembedRun(flow, SMALL);
    assert.equal(outputOf<{ embedded: number }>(snapshot, "embed").embedded, 30);
    assert.equal((await nightlyRun(flow, SAMPLE)).outcome, "success");
    await withSample(async (undisturbed) => {
      await nightlyRun(undisturbed, more(undisturbed));
      assert.deepEqual(await digests(flow), await digests(undisturbed));
      assert.deepEqual(itemsOf(await answersOf(flow)), itemsOf(await answersOf(undisturbed)));
    });
  }));

Deno.test("reembed keeps the old vectors until `drop_old`, then leaves no file of them", () =>
  withSample(async (flow) => {
    const files = () => [...Deno.readDirSync(`${flow.config.data}/vectors`)].map(({ name }) => name).sort();
    const [old] = await modelsOf(flow);
    const oldFiles = files();
    await reembedRun(flow, LARGE);
    assert.equal((await modelsOf(flow)).length, 2);
    const before = await answersOf(flow);
    const { snapshot } = await reembedRun(flow, LARGE, true);
    assert.deepEqual(outputOf(snapshot, "drop"), { dropped: [old] });
    assert.equal((await modelsOf(flow)).length, 1);
    assert.deepEqual(files().filter((name) => oldFiles.includes(name)), []);
    assert.deepEqual(itemsOf(await answersOf(flow)), itemsOf(before));
  }));

Deno.test("erasing people takes them out of the vectors of every model", () =>
  withSample(async (flow) => {
    await reembedRun(flow, LARGE);
    const { reset } = await import("../commands/reset.ts");
    assert.equal(await reset(flow.config, { sample: true, all: false, yes: true }), 0);
    for (const model of await flow.services.vectors.models()) {
      const store = await flow.services.vectors.forModel({ model });
      assert.deepEqual(await store.counts(), { messages: 0, profiles: 0, conversations: 0, campaigns: 0 });
    }
    assert.equal((await published(flow))?.version, 3);
  }));

Deno.test("a nightly run by another model than the published one fails without retry and says what to do", () =>
  withSample(async (flow) => {
    const before = await published(flow);
    const other = setTo(flow, LARGE);
    const row = { user_id: "u", message: "something new", timestamp: "2026-05-01T00:00:00Z" };
    const { outcome, snapshot } = await nightlyRun(other, {
      messages: [writeRows(flow, "new.ndjson", [row])],
    });
    assert.equal(outcome, "failed");
    assert.match(
      snapshot.run.error ?? "",
      /embed: what is published was embedded by test@\S+\/64\/mean, and PARLEY_EMBEDDINGS is test@\S+\/128\/mean: `deno task pipeline run reembed --param model=test:128` changes over to it, or set it back/,
    );
    assert.equal(snapshot.attempts.filter(({ task_id }) => task_id === "embed").length, 1);
    assert.deepEqual(await published(flow), before);
    // What it says to do is enough: the message that had come in is embedded, too.
    await reembedRun(other, LARGE);
    assert.equal((await nightlyRun(other, SAMPLE)).outcome, "success");
  }));

Deno.test("reembed publishes nothing if the new vectors do not agree with the stored rows", () =>
  withSample(async (flow) => {
    const before = await published(flow);
    const answers = await answersOf(flow, QUESTIONS.slice(0, 4));
    const { services } = flow;
    const { analytics, vectors } = services;
    const written = Object.assign(Object.create(analytics), {
      buildStats: async (options: BuildStatsOptions) => {
        for (const model of await vectors.models()) {
          if (modelKey(model) === before!.model) continue;
          const user_ids = ["keziah-boateng"];
          await (await vectors.forModel({ model })).deleteExcept({
            collection: "messages",
            user_ids,
            ids: [],
          });
        }
        return await analytics.buildStats(options);
      },
    });
    const params = { model: LARGE, drop_old: true };
    const { outcome, snapshot } = await runDag(
      { ...flow, services: { ...services, analytics: written } },
      "reembed",
      params,
    );
    assert.equal(outcome, "failed");
    assert.match(
      snapshot.run.error ?? "",
      /check: not published: 426 messages are stored and 4\d\d have vectors/,
    );
    assert.deepEqual(await published(flow), before);
    assert.deepEqual(await answersOf(flow, QUESTIONS.slice(0, 4)), answers);
    assert.equal((await modelsOf(flow)).length, 2);
    assert.equal((await runDag(flow, "reembed", params)).outcome, "success");
    assert.deepEqual(await modelsOf(flow), [(await published(flow))!.model]);
  }));
