import assert from "node:assert/strict";
import type { VectorRow } from "../../lib/stores/vectors/port.ts";
import { profileOf } from "../../tasks/steps/derive.ts";
import { minute, random } from "../fixtures/rows.ts";

const DAY = 24 * 60;
const HALF_LIFE = 30;

function row(day: number, vector: readonly number[]): VectorRow {
  const id = `m-${day}`;
  const rest = { user_id: "ada", role: "user", content_hash: id } as const;
  return { ...rest, id, timestamp: minute(day * DAY), vector: Float32Array.from(vector) };
}

async function* each(rows: readonly VectorRow[]) {
  yield* rows;
}

Deno.test("profileOf() halves a message's weight each half-life before the newest, whatever the order", async () => {
  const next = random(7);
  const days = Array.from({ length: 50 }, (_, i) => i * 9).sort(() => next() - 0.5);
  const rows = days.map((day) => row(day, [next(), next() - 0.5, next()]));
  const newest = Math.max(...days);
  const sum = [0, 1, 2].map((i) =>
    rows.reduce((sum, { vector }, at) => sum + 0.5 ** ((newest - days[at]!) / HALF_LIFE) * vector[i]!, 0)
  );
  const expected = sum.map((x) => x / Math.hypot(...sum));
  const profile = await profileOf("ada", each(rows), HALF_LIFE);
  assert.equal(profile?.timestamp, minute(newest * DAY));
  profile.vector.forEach((x, i) =>
    assert.ok(Math.abs(x - expected[i]!) < 1e-6, `${x} is not ${expected[i]}`)
  );
});

Deno.test("profileOf() is null without messages, and where they cancel out", async () => {
  assert.equal(await profileOf("ada", each([]), HALF_LIFE), null);
  const opposite = [row(0, [1, 0]), { ...row(0, [-1, 0]), id: "m-other" }];
  assert.equal(await profileOf("ada", each(opposite), HALF_LIFE), null);
});
