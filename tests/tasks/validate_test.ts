import assert from "node:assert/strict";
import type { Kind } from "../../lib/core/types.ts";
import { Fail } from "../../lib/dag/types.ts";
import { SCHEMA_VERSION } from "../../lib/schema/row.ts";
import { ingest } from "../../tasks/steps/ingest.ts";
import { validate, type ValidateOutput } from "../../tasks/steps/validate.ts";
import { contextOf, type InputStores, type Reported, withInputStores } from "../fixtures/context.ts";

const RUN = "manual:2026-01-01T00:00:00+00:00";
const SECRET = "s3cret words";

type Input = Partial<Record<Kind, unknown[][]>>;

/** Ingests files with these rows (a string is a literal line) and validates them. */
async function run(
  options: InputStores,
  input: Input,
  signal = new AbortController().signal,
): Promise<{ done: Promise<ValidateOutput>; reported: Reported; paths: string[] }> {
  const { services, dir } = options;
  const params: Record<string, string[]> = {};
  for (const [kind, files] of Object.entries(input)) {
    params[kind] = files.map((rows, n) => {
      const path = `${dir}/${kind}-${n}.ndjson`;
      Deno.writeTextFileSync(path, rows.map((r) => typeof r === "string" ? r : JSON.stringify(r)).join("\n"));
      return path;
    });
  }
  const first = contextOf({ services, run_id: RUN, params });
  const { sources } = await ingest(first.context, { check: "check" });
  const { context, reported } = contextOf({ services, run_id: RUN, signal });
  return { done: validate(context, sources), reported, paths: Object.values(params).flat() };
}

async function rowsOf(
  { services: { artifacts } }: InputStores,
  uri: string,
): Promise<Record<string, unknown>[]> {
  return (await Array.fromAsync(artifacts.readLines({ uri }))).map((line) => JSON.parse(line));
}

const said = (n: number, message = `said ${n}`) => ({
  message_id: `m${n}`,
  user_id: "u1",
  message,
  timestamp: 1_767_225_600 + n,
});

Deno.test("validate() writes canonical rows, one artifact a kind", () =>
  withInputStores(async (options) => {
    const { done, reported } = await run(options, {
      messages: [[said(1), said(2)], [said(3)]],
      campaigns: [[{ campaign_id: 5, title: "Boots", source: "sample" }]],
      events: [[{ user_id: "u1", campaign_id: 5, type: "click", timestamp: "2026-01-01T01:00:00+01:00" }]],
    });
    const output = await done;
    const { rows, quarantined, duplicates } = output;
    assert.deepEqual({ rows, quarantined, duplicates }, { rows: 5, quarantined: 0, duplicates: 0 });
    const messages = await rowsOf(options, output.messages.uri);
    assert.deepEqual(messages.map(({ message_id }) => message_id), ["m1", "m2", "m3"]);
    assert.equal(messages[0]!["timestamp"], "2026-01-01T00:00:01.000Z");
    const [campaign] = await rowsOf(options, output.campaigns.uri);
    assert.deepEqual([campaign!["campaign_id"], campaign!["metadata"]], ["5", { source: "sample" }]);
    const [event] = await rowsOf(options, output.events.uri);
    assert.deepEqual([event!["timestamp"], event!["campaign_id"]], ["2026-01-01T00:00:00.000Z", "5"]);
    assert.deepEqual(reported.rows, { in: 5, out: 5, quarantined: 0 });
    assert.deepEqual(reported.progress.at(-1), { done: 5, total: 5 });
    assert.equal(reported.versions["schema"], SCHEMA_VERSION);
    assert.deepEqual(reported.reads.map(({ rows }) => rows), [2, 1, 1, 1]);
  }));

Deno.test("validate() leaves an empty artifact for a kind without sources", () =>
  withInputStores(async (options) => {
    const output = await (await run(options, { campaigns: [[{ campaign_id: "k", title: "Boots" }]] })).done;
    assert.deepEqual([output.messages.rows, output.campaigns.rows, output.events.rows], [0, 1, 0]);
    assert.deepEqual(await rowsOf(options, output.messages.uri), []);
  }));

Deno.test("validate() quarantines bad rows with reason, source and position, and quotes none of them", () =>
  withInputStores(async (options) => {
    const { done, reported, paths } = await run(options, {
      messages: [[
        said(1),
        "",
        { ...said(2), message: undefined, [SECRET]: 1 },
        `{"message": "${SECRET}`,
        [SECRET],
        { ...said(3), timestamp: "2026-01-01T00:00:00", message: SECRET },
        `{"user_id":"u","message":"${"x".repeat(9_000_000)}"}`,
      ]],
    });
    const output = await done;
    assert.equal(output.quarantined, 5);
    assert.equal(output.rows, 6);
    assert.deepEqual(reported.rows, { in: 6, out: 1, quarantined: 5 });
    const kept = await options.services.documents.quarantined({ run_id: RUN, limit: 10, offset: 0 });
    assert.deepEqual(kept.map(({ position, reason }) => [position, reason]), [
      [3, "message is missing: the row has message_id, user_id, timestamp and 1 more"],
      [4, "the row is not valid JSON"],
      [5, "the row is not a JSON object"],
      [6, "timestamp has no UTC offset; add Z or one like +02:00"],
      [7, "the row is longer than 8 MiB"],
    ]);
    assert.ok(kept.every(({ kind, source }) => kind === "messages" && source === paths[0]));
    assert.equal(kept[1]!.raw, `{"message": "${SECRET}`);
    assert.equal(kept[1]!.at, "2026-01-01T00:00:00.000Z");
    assert.equal(kept[4]!.raw.length, 21_845);
    const told = JSON.stringify([output, reported, kept.map(({ reason }) => reason)]);
    assert.ok(!told.includes(SECRET));
  }, { max_bad_share: 0.9 }));

Deno.test("validate() quarantines a row with a byte that is not UTF-8, and no other", () =>
  withInputStores(async (options) => {
    const path = `${options.dir}/latin1.ndjson`;
    const text = Array.from(
      { length: 9 },
      (_, n) => JSON.stringify(said(n, n === 5 ? `${SECRET} caf?` : "hello")),
    ).join("\n");
    const bytes = new TextEncoder().encode(text);
    bytes[bytes.indexOf("?".charCodeAt(0))] = 0xe9;
    await Deno.writeFile(path, bytes);
    const { context } = contextOf({ services: options.services, run_id: RUN, params: { messages: [path] } });
    const { sources } = await ingest(context, { check: "check" });
    const second = contextOf({ services: options.services, run_id: RUN });
    const { rows, quarantined, messages } = await validate(second.context, sources);
    assert.deepEqual([rows, quarantined, messages.rows], [9, 1, 8]);
    const [refused] = await options.services.documents.quarantined({ run_id: RUN, limit: 10, offset: 0 });
    const { source, position, reason, raw } = refused!;
    assert.deepEqual([source, position, reason], [path, 6, "the row is not UTF-8 text"]);
    assert.equal(JSON.parse(raw).message, `${SECRET} caf\ufffd`);
    assert.ok(!JSON.stringify([second.reported, reason]).includes(SECRET));
  }));

Deno.test("validate() drops identical rows and quarantines another row with the same id, across sources", () =>
  withInputStores(async (options) => {
    const { done, reported } = await run(options, {
      messages: [
        [said(1), said(2), { ...said(1), timestamp: "2026-01-01T01:00:01+01:00" }],
        [said(2), said(1, "something else"), { ...said(3), a: 1, b: 2 }, {
          ...said(3),
          metadata: { b: 2, a: 1 },
        }],
      ],
      events: [[{ event_id: "m1", user_id: "u", campaign_id: "k", type: "click", timestamp: 1_767_225_600 }]],
    });
    const output = await done;
    const { rows, quarantined, duplicates } = output;
    assert.deepEqual({ rows, quarantined, duplicates }, { rows: 8, quarantined: 1, duplicates: 3 });
    const messages = await rowsOf(options, output.messages.uri);
    assert.deepEqual(messages.map(({ message_id, message }) => [message_id, message]), [
      ["m1", "said 1"],
      ["m2", "said 2"],
      ["m3", "said 3"],
    ]);
    const [kept] = await options.services.documents.quarantined({ limit: 10, offset: 0 });
    assert.deepEqual([kept!.position, kept!.reason], [
      2,
      "another row of this run has the same id with other content",
    ]);
    const use = reported.writes.find(({ name }) => name === output.messages.uri);
    assert.deepEqual(use?.quality, { rows: 7, quarantined: 1, duplicates: 3 });
  }, { max_bad_share: 0.2 }));

Deno.test("validate() takes rows without ids for one when all that makes the id is equal", () =>
  withInputStores(async (options) => {
    const { message_id: _, ...row } = said(1);
    const output = await (await run(options, { messages: [[row, row, { ...row, conversation_id: "c" }]] }))
      .done;
    assert.deepEqual([output.messages.rows, output.duplicates, output.quarantined], [2, 1, 0]);
  }));

Deno.test("validate() fails the run when too many of all its rows are bad, with the rows in quarantine", () =>
  withInputStores(async (options) => {
    const good = Array.from({ length: 30 }, (_, n) => said(n));
    const bad = Array(10).fill("{}");
    const enough = await run(options, {
      messages: [[...good, ...bad, ""]],
      campaigns: [[{ campaign_id: 1, title: "x" }]],
    });
    await assert.rejects(
      enough.done,
      new Fail(
        "10 of 41 rows (24.4 %) are bad and at most 20 % may be (PARLEY_MAX_BAD_SHARE), so no store was written; " +
          `\`deno task pipeline quarantine --run ${RUN}\` shows them with their reasons`,
      ),
    );
    assert.equal((await options.services.documents.counts()).quarantined, 10);
    assert.equal((await options.services.documents.counts()).messages, 0);
    const campaigns = [Array.from({ length: 10 }, (_, n) => ({ campaign_id: n, title: "x" }))];
    const other = await run(options, { messages: [[...good, ...bad]], campaigns });
    assert.equal((await other.done).quarantined, 10);
  }));

Deno.test("validate() loses no small run for a few bad rows, unless all of its rows are bad", () =>
  withInputStores(async (options) => {
    const { quarantined, messages } =
      await (await run(options, { messages: [[said(1), ...Array(9).fill("{}")]] }))
        .done;
    assert.deepEqual([quarantined, messages.rows], [9, 1]);
    await assert.rejects(
      (await run(options, { messages: [["{}"]] })).done,
      /^Fail: all rows are bad, 1 of them, so no store was written/,
    );
  }));

Deno.test("validate() quarantines more rows than one batch holds", () =>
  withInputStores(async (options) => {
    const output = await (await run(options, { messages: [[said(1), ...Array(1_200).fill("junk")]] })).done;
    assert.equal(output.quarantined, 1_200);
    assert.equal((await options.services.documents.counts()).quarantined, 1_200);
  }, { max_bad_share: 1 }));

Deno.test("validate() gives the same artifacts and quarantine when it is repeated", () =>
  withInputStores(async (options) => {
    const input = { messages: [[said(1), said(1), "junk", said(2), said(3), said(4)]] };
    const first = await (await run(options, input)).done;
    assert.deepEqual(await (await run(options, input)).done, first);
    assert.equal((await options.services.documents.counts()).quarantined, 1);
  }));

Deno.test("validate() stops at its signal with the signal's reason", () =>
  withInputStores(async (options) => {
    const signal = AbortSignal.abort(new RangeError("shutdown"));
    const { done } = await run(options, { messages: [[said(1)]] }, signal);
    await assert.rejects(done, /shutdown/);
  }));
