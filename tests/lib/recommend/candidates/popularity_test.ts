import assert from "node:assert/strict";
import { PopularReader } from "../../../../lib/recommend/candidates/popularity.ts";
import { ranked } from "../samples.ts";

/** A reader over a list of so many campaigns, and the limits that it asked for. */
function reader(size: number) {
  const all = Array.from({ length: size }, (_, i) => ranked(`${i}`).stats);
  const asked: number[] = [];
  const popular = (options: { version: number; limit: number }) => {
    asked.push(options.limit);
    return Promise.resolve(all.slice(0, options.limit));
  };
  return { asked, reader: new PopularReader({ popular }) };
}

Deno.test("PopularReader.top() reads a version's list once", async () => {
  const { asked, reader: popular } = reader(1_000);
  assert.equal((await popular.top({ version: 1, limit: 10 })).length, 10);
  assert.equal((await popular.top({ version: 1, limit: 300 })).length, 300);
  assert.deepEqual(asked, [400]);
  await popular.top({ version: 2, limit: 10 });
  assert.deepEqual(asked, [400, 400]);
});

Deno.test("PopularReader.top() reads further where more is asked for than it holds", async () => {
  const { asked, reader: popular } = reader(1_000);
  await popular.top({ version: 1, limit: 10 });
  assert.equal((await popular.top({ version: 1, limit: 600 })).length, 600);
  assert.deepEqual(asked, [400, 600]);
});

Deno.test("PopularReader.top() knows when it holds the whole list", async () => {
  const { asked, reader: popular } = reader(7);
  await popular.top({ version: 1, limit: 10 });
  assert.equal((await popular.top({ version: 1, limit: 5_000 })).length, 7);
  assert.deepEqual(asked, [400]);
});
