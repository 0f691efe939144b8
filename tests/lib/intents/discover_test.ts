import assert from "node:assert/strict";
import { discover } from "../../../lib/intents/discover.ts";
import { sampleUnlabelled } from "../../../lib/intents/sample_unlabelled.ts";
import { SqliteDocuments } from "../../../lib/stores/documents/sqlite/sqlite_documents.ts";
import { message, random } from "../../fixtures/rows.ts";
import { about } from "./samples.ts";

/** Vectors about eight axes, the first of them most often. */
function vectors(): { axis: number; vector: Float32Array }[] {
  const next = random(12);
  return Array.from({ length: 240 }, (_, n) => n % 3 === 0 ? 0 : n % 8)
    .map((axis) => ({ axis, vector: about(axis, 16, next, 0.12) }));
}

Deno.test("discover() finds the groups that there are, the largest first, and the same ones again", () => {
  const all = vectors();
  const groups = discover({ vectors: all.map(({ vector }) => vector) });
  assert.equal(groups.length, 8);
  for (const { members } of groups) assert.equal(new Set(members.map((n) => all[n]!.axis)).size, 1);
  assert.deepEqual(groups.flatMap(({ members }) => members).sort((a, b) => a - b), [...all.keys()]);
  const sizes = groups.map(({ members }) => members.length);
  assert.deepEqual(sizes, sizes.toSorted((a, b) => b - a));
  assert.deepEqual(discover({ vectors: all.map(({ vector }) => vector) }), groups);
  assert.equal(discover({ vectors: all.map(({ vector }) => vector), k: 3 }).length, 3);
});

Deno.test("discover() groups by the differences of texts, whatever all of them have in common", () => {
  const all = vectors().map(({ vector }) => vector);
  const membersOf = (vectors: readonly Float32Array[]) => discover({ vectors }).map(({ members }) => members);
  const common = Float32Array.from({ length: 16 }, (_, i) => i % 2 === 0 ? 3 : -2);
  const shifted = all.map((vector) => vector.map((x, i) => x + common[i]!));
  assert.deepEqual(membersOf(shifted), membersOf(all));
});

Deno.test("discover() takes nothing, one text, and texts that are all alike", () => {
  assert.deepEqual(discover({ vectors: [] }), []);
  const one = about(0, 4, random(1));
  assert.deepEqual(discover({ vectors: [one] }).map(({ members }) => members), [[0]]);
  assert.equal(
    discover({ vectors: Array.from({ length: 30 }, () => one) }).flatMap(({ members }) => members).length,
    30,
  );
});

Deno.test("sampleUnlabelled() draws the same messages each time, each text once, and none with an intent", async () => {
  const documents = new SqliteDocuments({ path: ":memory:" });
  await documents.upsert({
    messages: Array.from(
      { length: 400 },
      (_, n) =>
        message({
          message: `text ${n % 300}`,
          intent: n % 10 === 0 ? "buy" : null,
          role: n % 7 === 0 ? "assistant" : "user",
        }),
    ),
  });
  const drawn = await sampleUnlabelled({ documents, size: 50 });
  assert.deepEqual(await sampleUnlabelled({ documents, size: 50 }), drawn);
  assert.equal(new Set(drawn.map(({ text }) => text)).size, 50);
  const unlabelled = await documents.unlabelled({ after: null, limit: 1_000 });
  const ids = new Set(unlabelled.map(({ message_id }) => message_id));
  assert.ok(drawn.every(({ message_id }) => ids.has(message_id)));
  await documents.close();
});
