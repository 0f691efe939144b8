import assert from "node:assert/strict";
import { createHash } from "../../deps.ts";
import { type JsonObject, type Kind, modelKey } from "../../lib/core/types.ts";
import { Fail, Skip } from "../../lib/dag/types.ts";
import type { ArtifactStore } from "../../lib/stores/artifacts/port.ts";
import { currentDerivation, saveDerivation } from "../../tasks/steps/derivation.ts";
import { ingest, type IngestOutput } from "../../tasks/steps/ingest.ts";
import { contextOf, type InputStores, withInputStores } from "../fixtures/context.ts";
import { event, message } from "../fixtures/rows.ts";
import { until } from "../fixtures/until.ts";
import { profile } from "../fixtures/vectors.ts";

const MODEL = { name: "test", revision: "0", dimension: 4, pooling: "mean" } as const;
const RUN = "manual:2026-01-01T00:00:00+00:00";

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

async function file(options: InputStores, name: string, text: string): Promise<string> {
  await Deno.writeTextFile(`${options.dir}/${name}`, text);
  return `${options.dir}/${name}`;
}

/** Records these sources as the published run read them. */
async function published({ services }: InputStores, sources: [Kind, string, string][]): Promise<void> {
  const at = "2026-01-01T00:00:00.000Z";
  await saveDerivation(services, { version: 1, derivation: currentDerivation(services.settings) });
  await services.analytics.publish({
    published: { version: 1, run_id: "before", model: modelKey(MODEL), at },
    sources: sources.map(([kind, uri, text]) => ({
      kind,
      uri,
      sha256: sha256(text),
      rows: 1,
      run_id: "before",
      at,
    })),
  });
}

function run(
  options: InputStores,
  params: JsonObject,
  rest: { checkpoint?: JsonObject; signal?: AbortSignal } = {},
) {
  const { context, reported } = contextOf({ services: options.services, run_id: RUN, params, ...rest });
  return { done: ingest(context, { check: "check" }), reported };
}

function lines({ services: { artifacts } }: InputStores, output: IngestOutput, n: number): Promise<string[]> {
  return Array.fromAsync(artifacts.readLines({ uri: output.sources[n]!.artifact.uri }));
}

Deno.test("ingest() spools each source into an artifact and reports the sources that it read", () =>
  withInputStores(async (options) => {
    const text = '{"a":1}\n\n{"a":2}\n';
    const one = await file(options, "one.ndjson", text);
    const two = await file(options, "two.json", "[3, 4]");
    const { done, reported } = run(options, { messages: [one], campaigns: [], events: [two] });
    const output = await done;
    assert.deepEqual(output.sources.map(({ artifact: _, ...source }) => source), [
      { kind: "messages", uri: one, sha256: sha256(text), bytes: 17, rows: 2 },
      { kind: "events", uri: two, sha256: sha256("[3, 4]"), bytes: 6, rows: 2 },
    ]);
    assert.deepEqual(output.failed, []);
    assert.deepEqual(await lines(options, output, 0), ['{"a":1}', "", '{"a":2}']);
    assert.deepEqual(await lines(options, output, 1), ["3", "4"]);
    assert.deepEqual(reported.reads, [
      { namespace: "file", name: one, rows: 2, bytes: 17, version: sha256(text) },
      { namespace: "file", name: two, rows: 2, bytes: 6, version: sha256("[3, 4]") },
    ]);
    assert.deepEqual(
      reported.writes.map(({ name }) => name),
      output.sources.map(({ artifact }) => artifact.uri),
    );
    assert.deepEqual(reported.rows, { in: 4, out: 4 });
    assert.deepEqual(reported.progress.at(-1), { done: 4, total: 4 });
  }));

Deno.test("ingest() leaves out what the published run read, by kind and content", () =>
  withInputStores(async (options) => {
    const same = await file(options, "same.ndjson", '{"a":1}\n');
    const grown = await file(options, "grown.ndjson", '{"a":1}\n{"a":2}\n');
    await published(options, [["messages", same, '{"a":1}\n'], ["messages", grown, '{"a":1}\n']]);
    const { done, reported } = run(options, {
      messages: [options.dir + "/same.ndjson", grown],
      events: [same],
    });
    const output = await done;
    assert.deepEqual(reported.log.filter((line) => line.endsWith(" is unchanged")), [
      `messages: ${same} is unchanged`,
    ]);
    assert.deepEqual(output.sources.map(({ kind, uri }) => [kind, uri]), [["messages", grown], [
      "events",
      same,
    ]]);
  }));

Deno.test("ingest() skips when every source is unchanged, unless users wait to be derived", () =>
  withInputStores(async (options) => {
    const same = await file(options, "same.ndjson", '{"a":1}\n');
    await published(options, [["messages", same, '{"a":1}\n']]);
    const given = [{ kind: "messages" as const, path: same }];
    await assert.rejects(
      run(options, { messages: [same] }).done,
      new Skip("every source is unchanged", { output: { sources: [], given, failed: [] } }),
    );
    await assert.rejects(
      run(options, {}).done,
      new Skip("there is no source", { output: { sources: [], given: [], failed: [] } }),
    );
    await options.services.graph.setTargets({ campaigns: [{ campaign_id: "there", intents: [] }] });
    await options.services.analytics.upsertEvents({ events: [event()] });
    assert.deepEqual(await run(options, { messages: [same] }).done, {
      sources: [],
      given,
      failed: [],
    });
  }));

Deno.test("ingest() removes data after their retention, even if there is nothing new", () =>
  withInputStores(async (options) => {
    const { documents, clock } = options.services;
    const same = await file(options, "same.ndjson", '{"a":1}\n');
    await published(options, [["messages", same, '{"a":1}\n']]);
    const refused = { run_id: "r", kind: "messages", source: "s", reason: "is bad", raw: "said" } as const;
    const at = (days: number) => new Date(clock.now() - days * 86_400_000).toISOString();
    await documents.quarantine({
      rows: [{ ...refused, position: 1, at: at(31) }, { ...refused, position: 2, at: at(29) }],
    });
    await assert.rejects(run(options, { messages: [same] }).done, Skip);
    const left = await documents.quarantined({ limit: 9, offset: 0 });
    assert.deepEqual(left.map(({ position }) => position), [2]);
  }));

Deno.test("ingest() reads everything again, and marks all users dirty, if a store has become empty", () =>
  withInputStores(async (options) => {
    const { documents, analytics, vectors } = options.services;
    const same = await file(options, "same.ndjson", '{"a":1}\n');
    await published(options, [["messages", same, '{"a":1}\n']]);
    const store = await vectors.forModel({ model: MODEL });
    await store.upsert({ collection: "messages", rows: [profile("m", Float32Array.of(1, 0, 0, 0))] });
    const gone = run(options, { messages: [same] });
    assert.equal((await gone.done).sources.length, 1);
    assert.match(gone.reported.log[0]!, /^the store of documents is empty/);
    await documents.upsert({ messages: [message({ user_id: "a" })] });
    await analytics.upsertEvents({ events: [event({ user_id: "b" })] });
    for (const base of [documents, analytics]) {
      await base.clearDirty({ users: await base.listDirtyUsers({ after: null, limit: 9 }) });
    }
    const lost = run(options, { messages: [same] });
    assert.equal((await lost.done).sources.length, 1);
    assert.match(lost.reported.log[0]!, /^the store of graph is empty/);
    const touched = await Promise.all(
      [documents, analytics].map((base) => base.listDirtyUsers({ after: null, limit: 9 })),
    );
    assert.deepEqual(touched.map((users) => users.map(({ user_id }) => user_id)), [["a"], ["b"]]);
  }));

Deno.test("ingest() records a source that cannot be read and continues", () =>
  withInputStores(async (options) => {
    const good = await file(options, "good.ndjson", '{"a":1}\n');
    const page = await file(options, "page.html", "<html>\n");
    const torn = await file(options, "torn.json", '[{"a":1},');
    const none = `${options.dir}/none.json`;
    const { done, reported } = run(options, { messages: [none, page, good], events: [torn] });
    const output = await done;
    assert.deepEqual(output.sources.map(({ uri }) => uri), [good]);
    assert.deepEqual(output.failed, [
      { kind: "messages", path: none, uri: none, error: `${none} does not exist` },
      {
        kind: "messages",
        path: page,
        uri: page,
        error:
          `${page} holds no rows of JSON or CSV: expected a JSON array, JSON objects, or a CSV header that names user_id or campaign_id`,
      },
      {
        kind: "events",
        path: torn,
        uri: torn,
        error: `${torn} ends inside its JSON array as if it was cut off, after 1 row (line 1)`,
      },
    ]);
    const [read, ...rest] = reported.log.filter((line) => / rows? from /.test(line));
    assert.match(read ?? "", /^messages: 1 row from .*good\.ndjson$/);
    assert.deepEqual([rest, reported.log.filter((line) => line !== read)], [
      [],
      output.failed.map(({ error }) => error),
    ]);
    const artifacts = await options.services.artifacts.deleteRun({ run_id: RUN });
    assert.equal(artifacts, 1, "nothing is left of what failed");
  }));

Deno.test("ingest() loses what cannot be read of a folder alone, and names it", () =>
  withInputStores(async (options) => {
    const folder = `${options.dir}/in`;
    await Deno.mkdir(`${folder}/sub`, { recursive: true });
    await file(options, "in/a.ndjson", '{"a":1}\n');
    await file(options, "in/sub/b.ndjson", '{"b":1}\n');
    await file(options, "in/torn.json", '[{"c":1},');
    await Deno.symlink("nowhere", `${folder}/gone.json`);
    await Deno.symlink("a.ndjson", `${folder}/latest.ndjson`);
    const { done, reported } = run(options, { messages: [folder] });
    const output = await done;
    assert.deepEqual(output.sources.map(({ uri }) => uri), [`${folder}/a.ndjson`, `${folder}/sub/b.ndjson`]);
    assert.deepEqual(output.failed, [
      {
        kind: "messages",
        path: folder,
        uri: `${folder}/gone.json`,
        error: `${folder}/gone.json is a link to what does not exist`,
      },
      {
        kind: "messages",
        path: folder,
        uri: `${folder}/torn.json`,
        error: `${folder}/torn.json ends inside its JSON array as if it was cut off, after 1 row (line 1)`,
      },
    ]);
    const repeated = `${folder}/latest.ndjson is the same as ${folder}/a.ndjson, which is read`;
    for (const line of [...output.failed.map(({ error }) => error), repeated]) {
      assert.ok(reported.log.includes(line));
    }
  }));

Deno.test("ingest() leaves out a source that is larger than it may be, and nothing of it stays", () =>
  withInputStores(async (options) => {
    const pipe = `${options.dir}/pipe`;
    await new Deno.Command("mkfifo", { args: [pipe] }).output();
    const good = await file(options, "good.ndjson", '{"a":1}\n');
    const { done } = run(options, { messages: [good, pipe] });
    const script = `yes '{"a":1}' > ${pipe}`;
    const endless = new Deno.Command("bash", { args: ["-c", script], stderr: "null" }).output();
    const { sources, failed } = await done;
    await endless;
    assert.deepEqual(sources.map(({ uri }) => uri), [good]);
    const error = `${pipe} is larger than 0.002 GB, which PARLEY_MAX_SOURCE_GB sets`;
    assert.deepEqual(failed, [{ kind: "messages", path: pipe, uri: pipe, error }]);
    const left = [...Deno.readDirSync(`${options.dir}/artifacts/${encodeURIComponent(RUN)}/test`)];
    assert.deepEqual(left.map(({ name }) => name), ["messages-1.ndjson"]);
  }, { max_source_bytes: 2e6 }));

Deno.test("ingest() fails when no source can be read, and says why when the rest is unchanged", () =>
  withInputStores(async (options) => {
    const none = `${options.dir}/none.json`;
    const failure = (path: string) => (
      { kind: "messages" as const, path, uri: path, error: `${path} does not exist` }
    );
    const other = `${options.dir}/other.json`;
    const given = (...paths: string[]) => paths.map((path) => ({ kind: "messages" as const, path }));
    const gone = {
      sources: [],
      given: given(none, other),
      failed: [none, other].map(failure),
    };
    await assert.rejects(
      run(options, { messages: [none, other] }).done,
      new Fail(`no source could be read: ${none} does not exist; and 1 more`, { output: gone }),
    );
    const same = await file(options, "same.ndjson", '{"a":1}\n');
    await published(options, [["messages", same, '{"a":1}\n']]);
    await assert.rejects(
      run(options, { messages: [same, none] }).done,
      new Skip(`no readable source has changed; ${none} does not exist`, {
        output: {
          sources: [],
          given: given(same, none),
          failed: [failure(none)],
        },
      }),
    );
  }));

Deno.test("ingest() keeps on retry what an earlier attempt has spooled", () =>
  withInputStores(async (options) => {
    const one = await file(options, "one.ndjson", '{"a":1}\n');
    const two = await file(options, "two.ndjson", '{"a":2}\n');
    const first = run(options, { messages: [one] });
    const before = await first.done;
    await Deno.remove(one);
    const output = await run(options, { messages: [one, two] }, {
      checkpoint: first.reported.checkpoint as JsonObject,
    })
      .done;
    assert.deepEqual(output.failed, []);
    assert.deepEqual(output.sources[0], before.sources[0]);
    assert.deepEqual(await lines(options, output, 0), ['{"a":1}']);
    assert.deepEqual(await lines(options, output, 1), ['{"a":2}']);
  }));

Deno.test("ingest() reads a pipe once, and never takes it for unchanged", () =>
  withInputStores(async (options) => {
    const pipe = `${options.dir}/pipe`;
    await new Deno.Command("mkfifo", { args: [pipe] }).output();
    const text = '{"a":1}\n';
    await published(options, [["messages", pipe, text]]);
    const first = run(options, { messages: [pipe], events: [pipe] });
    await Deno.writeTextFile(pipe, text);
    const output = await first.done;
    assert.deepEqual(output.sources.map(({ kind, rows }) => [kind, rows]), [["messages", 1]]);
    assert.match(output.failed[0]!.error, /pipe can be read only once and has been: give it for one kind/);

    assert.deepEqual((first.reported.checkpoint as JsonObject)["opened"], [pipe]);
    const cut = { sources: [], opened: [pipe] };
    await assert.rejects(run(options, { messages: [pipe] }, { checkpoint: cut }).done, /start a new run/);
  }));

Deno.test("ingest() stops at its signal while a pipe has no writer, and a retry does not wait for one without end", () =>
  withInputStores(async (options) => {
    const pipe = `${options.dir}/pipe`;
    const other = await file(options, "other.ndjson", '{"a":1}\n');
    await new Deno.Command("mkfifo", { args: [pipe] }).output();
    const controller = new AbortController();
    const first = run(options, { messages: [pipe], events: [other] }, { signal: controller.signal });
    const { log } = first.reported;
    await until(() => log.some((line) => line.endsWith("is a pipe: it is read once a writer has opened it")));
    controller.abort(new RangeError("shutdown"));
    await assert.rejects(first.done, /shutdown/);
    const second = run(options, { messages: [pipe], events: [other] }, {
      checkpoint: first.reported.checkpoint as JsonObject,
    });
    const { sources, failed } = await second.done;
    assert.deepEqual(sources.map(({ uri }) => uri), [other]);
    assert.match(failed[0]!.error, /pipe can be read only once and has been: .* start a new run$/);
    // Lets the call go that still waits in the system, as the end of the process would.
    await Deno.writeTextFile(pipe, "");
  }));

Deno.test("ingest() leaves a failing artifact store to the retries of its task", () =>
  withInputStores(async (options) => {
    const one = await file(options, "one.ndjson", '{"a":1}\n');
    const full: Pick<ArtifactStore, "writeLines"> = {
      writeLines: () => Promise.reject(new Deno.errors.WriteZero("no space left on device")),
    };
    const artifacts = Object.assign(Object.create(options.services.artifacts), full);
    const services = Object.assign(Object.create(options.services), { artifacts });
    await assert.rejects(run({ ...options, services }, { messages: [one] }).done, Deno.errors.WriteZero);
  }));

Deno.test("ingest() stops at its signal with the signal's reason", () =>
  withInputStores(async (options) => {
    const one = await file(options, "one.ndjson", '{"a":1}\n');
    const signal = AbortSignal.abort(new RangeError("shutdown"));
    await assert.rejects(run(options, { messages: [one] }, { signal }).done, /shutdown/);
  }));
