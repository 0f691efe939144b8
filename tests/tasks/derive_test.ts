import assert from "node:assert/strict";
import type { VectorRow } from "../../lib/stores/vectors/port.ts";
import { profileOf } from "../../tasks/steps/derive.ts";
import { minute, random } from "../fixtures/rows.ts";

const DAY = 24 * 60;
const HALF_LIFE = 30;
const DECAY = { half_life_days: HALF_LIFE, latest: minute(900 * DAY) };

function row(day: number, vector: readonly number[]): VectorRow {
  const id = `m-${day}`;
  const rest = { user_id: "ada", role: "user", content_hash: id } as const;
  return {
    ...rest,
    id,
    timestamp: minute(day * DAY),
    vector: Float32Array.from(vector, (x) => x / Math.hypot(...vector)),
  };
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
  const profile = await profileOf("ada", each(rows), DECAY);
  assert.equal(profile?.timestamp, minute(newest * DAY));
  profile.vector.forEach((x, i) =>
    assert.ok(Math.abs(x - expected[i]!) < 1e-6, `${x} is not ${expected[i]}`)
  );
});

Deno.test("profileOf() is null without messages, and where they cancel out", async () => {
  assert.equal(await profileOf("ada", each([]), DECAY), null);
  const opposite = [row(0, [1, 0]), { ...row(0, [-1, 0]), id: "m-other" }];
  assert.equal(await profileOf("ada", each(opposite), DECAY), null);
});

Deno.test("profileOf() leaves out damaged vectors", async () => {
  const sound = row(0, [3, 4]);
  const damaged = [[NaN, 0], [2, 0], [], [0, 0]].map((vector, i) => ({
    ...row(i + 1, [1, 0]),
    vector: Float32Array.from(vector),
  }));
  const profile = await profileOf("ada", each([...damaged, sound]), DECAY);
  assert.deepEqual(profile, await profileOf("ada", each([sound]), DECAY));
  assert.equal(await profileOf("ada", each(damaged), DECAY), null);
});

Deno.test("profileOf() is not dragged by a message stamped years ahead, whatever the order and whenever it runs", async () => {
  const rows = [row(0, [1, 0, 0]), row(30, [0, 1, 0]), row(40_000, [0, 0, 1])];
  const expected = [0.5, 1, 1].map((x) => x / 1.5);
  for (const order of [rows, rows.toReversed(), [rows[1]!, rows[2]!, rows[0]!]]) {
    for (const day of [31, 800]) {
      const profile = await profileOf("ada", each(order), {
        half_life_days: HALF_LIFE,
        latest: minute(day * DAY),
      });
      assert.equal(profile?.timestamp, minute(30 * DAY));
      profile.vector.forEach((x, i) =>
        assert.ok(Math.abs(x - expected[i]!) < 1e-6, `${x} is not ${expected[i]}`)
      );
    }
  }
  const alone = await profileOf("ada", each([row(40_000, [0, 0, 1])]), DECAY);
  assert.deepEqual([alone?.timestamp, ...alone!.vector], [null, 0, 0, 1]);
});
