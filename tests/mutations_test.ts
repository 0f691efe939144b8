import assert from "node:assert/strict";
import { nightlyRun, SAMPLE, withFlow } from "./fixtures/flow.ts";
import { pick, random } from "./fixtures/rows.ts";
import type { ValidateOutput } from "../tasks/steps/validate.ts";

/** Is in every text, to find texts in forbidden places. */
const MARKER = "Zk7markedQx";
const ROWS = 3_000;

type Next = () => number;
type Mutation = (row: Record<string, unknown>, next: Next) => string | Uint8Array;

const encode = (text: string) => new TextEncoder().encode(text);
const fieldOf = (row: Record<string, unknown>, next: Next) => pick(next, Object.keys(row));

/** No value holds a line feed: a row is a line. */
const VALUES: readonly unknown[] = [
  null,
  true,
  0,
  -1,
  1e21,
  20260501,
  46000.5,
  253402300800000,
  "",
  " ",
  "\u0000",
  "\ud800",
  "😀",
  " x ",
  "a".repeat(300),
  [],
  ["x", 1],
  {},
  { a: { b: [null] } },
  "2106-02-07T06:28:15Z",
  "1969-12-31T23:59:59Z",
  "2026-02-30T00:00:00Z",
  "2026-05-01",
  "NaN",
];

const MUTATIONS: readonly Mutation[] = [
  // One value of another kind.
  (row, next) => JSON.stringify({ ...row, [fieldOf(row, next)]: pick(next, VALUES) }),
  // A field is missing.
  (row, next) => {
    const field = fieldOf(row, next);
    return JSON.stringify(Object.fromEntries(Object.entries(row).filter(([name]) => name !== field)));
  },
  // A field that is not known.
  (row, next) =>
    JSON.stringify({
      ...row,
      [pick(next, ["extra", "__proto__x", "constructor", "a.b"])]: pick(next, VALUES),
    }),
  // Numbers that JSON can write and a double can't hold.
  (row, next) =>
    JSON.stringify({ ...row, more: "NUMBER" }).replace(
      '"NUMBER"',
      pick(next, ["1e400", "-1e400", "12345678901234567890", "0.1e-400"]),
    ),
  // Cut off.
  (row, next) => JSON.stringify(row).slice(0, Math.floor(next() * JSON.stringify(row).length)),
  // A byte is another one, which may not be UTF-8 or JSON any more.
  (row, next) => {
    const bytes = encode(JSON.stringify(row));
    const byte = Math.floor(next() * 256);
    bytes[Math.floor(next() * bytes.length)] = byte === 10 || byte === 13 ? 0xe9 : byte;
    return bytes;
  },
  // Something in front, behind or within.
  (row, next) => {
    const text = JSON.stringify(row);
    const at = Math.floor(next() * (text.length + 1));
    return text.slice(0, at) + pick(next, ["}", "{", ",", '"', "\\", "\t", "\u2028", "[]", "null"]) +
      text.slice(at);
  },
  // As it was.
  (row) => JSON.stringify(row),
];

function joined(lines: readonly (string | Uint8Array)[]): Uint8Array<ArrayBuffer> {
  const parts = lines.flatMap((line) => [typeof line === "string" ? encode(line) : line, encode("\n")]);
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

Deno.test(`${ROWS} mutated rows are each accepted, dropped as a duplicate, or quarantined with a reason that quotes nothing`, () =>
  withFlow(async (flow) => {
    const next = random(20_261_129);
    const rows: Record<string, Record<string, unknown>[]> = {};
    for (const [kind, [path]] of Object.entries(SAMPLE)) {
      rows[kind] = Deno.readTextFileSync(path!).trim().split("\n").map((line) => JSON.parse(line));
    }
    const mutated: Record<string, (string | Uint8Array)[]> = { messages: [], campaigns: [], events: [] };
    for (let n = 0; n < ROWS; n++) {
      const kind = pick(next, ["messages", "campaigns", "events"]);
      const row = { ...pick(next, rows[kind]!), metadata: { note: MARKER } } as Record<string, unknown>;
      if (kind === "messages") row["message"] = `${row["message"]} ${MARKER}`;
      mutated[kind]!.push(pick(next, MUTATIONS)(row, next));
    }
    const paths: Record<string, string[]> = {};
    for (const [kind, lines] of Object.entries(mutated)) {
      paths[kind] = [`${flow.input}/${kind}.ndjson`];
      await Deno.writeFile(paths[kind]![0]!, joined(lines));
    }
    const { outcome, snapshot } = await nightlyRun(flow, paths);
    assert.equal(outcome, "success", snapshot.run.error ?? "");

    const validated = snapshot.tasks.find(({ task_id }) => task_id === "validate")!
      .output as unknown as ValidateOutput;
    const accepted = validated.messages.rows + validated.campaigns.rows + validated.events.rows;
    // A row that was cut off before its first character is a blank line, and no row.
    const blank = Object.values(mutated).flat().filter((line) => line.length === 0).length;
    assert.equal(validated.rows, ROWS - blank);
    assert.equal(accepted + validated.duplicates + validated.quarantined, validated.rows);
    assert.ok(
      accepted > 500 && validated.quarantined > 500,
      `${accepted} accepted, ${validated.quarantined} refused`,
    );

    const { documents, analytics } = flow.services;
    const refused = await documents.quarantined({ limit: ROWS, offset: 0 });
    assert.equal(refused.length, validated.quarantined);
    for (const { reason } of refused) {
      assert.ok(reason.length > 0 && !reason.includes(MARKER), reason);
    }
    const counts = { ...await analytics.counts(), messages: (await documents.counts()).messages };
    assert.equal(counts.messages, validated.messages.rows);
    assert.equal(counts.campaigns, validated.campaigns.rows);
    assert.equal(counts.events, validated.events.rows);
  }, { PARLEY_MAX_BAD_SHARE: "1" }));
