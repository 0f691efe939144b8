import assert from "node:assert/strict";
import { isSample, sampleSources, writeSample } from "../commands/sample.ts";
import { type Kind, KINDS } from "../lib/core/types.ts";

type Row = Record<string, unknown>;
const TIMES = ["timestamp", "starts_at", "ends_at"];

function rowsOf(files: Readonly<Record<Kind, readonly string[]>>): Row[] {
  return KINDS.flatMap((kind) =>
    files[kind].flatMap((path) => Deno.readTextFileSync(path).trim().split("\n"))
  )
    .map((line) => JSON.parse(line));
}

Deno.test("writeSample() moves all times alike, so that the newest is just past, and changes nothing else", async () => {
  const data = await Deno.makeTempDir();
  try {
    const now = Date.UTC(2031, 4, 6, 7, 8, 9, 10);
    const written = await writeSample({ data, now });
    const [before, after] = [rowsOf(sampleSources()), rowsOf(written)];
    assert.equal(after.length, before.length);
    const shifts = before.flatMap((row, i) =>
      Object.keys(row).flatMap((field) => {
        const [from, to] = [row[field], after[i]![field]];
        if (!TIMES.includes(field)) assert.deepEqual(to, from);
        return TIMES.includes(field) ? [Date.parse(to as string) - Date.parse(from as string)] : [];
      })
    );
    assert.equal(new Set(shifts).size, 1);
    const newest = Math.max(
      ...after.flatMap(({ timestamp }) => timestamp ? [Date.parse(timestamp as string)] : []),
    );
    assert.ok(newest < now && now - newest < 120_000);
    assert.ok(KINDS.every((kind) => written[kind].every(isSample)));
    assert.deepEqual(rowsOf(await writeSample({ data, now: now + 86_400_000 })), after, "written once");
  } finally {
    await Deno.remove(data, { recursive: true });
  }
});

Deno.test("isSample() knows the sample's files in any data directory, and takes no others for them", () => {
  assert.ok(isSample("/srv/parley/parley-sample/events.ndjson"));
  for (
    const uri of [
      "stdin",
      "/srv/sample/events.ndjson",
      "/srv/parley-sample/mine.ndjson",
      "/my-parley-sample/events.ndjson",
    ]
  ) {
    assert.ok(!isSample(uri), uri);
  }
});
