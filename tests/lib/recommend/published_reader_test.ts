import assert from "node:assert/strict";
import { ManualClock } from "../../../lib/core/clock.ts";
import { PublishedReader } from "../../../lib/recommend/published_reader.ts";

function reader() {
  const clock = new ManualClock(0);
  const state = { reads: 0, version: 1, down: false };
  const published = () => {
    state.reads++;
    if (state.down) return Promise.reject(new Error("down"));
    if (state.version === 0) return Promise.resolve(null);
    return Promise.resolve({ version: state.version, previous: null, run_id: "r", model: "m", at: "" });
  };
  return { clock, state, reader: new PublishedReader({ analytics: { published }, clock }) };
}

Deno.test("PublishedReader.current() reads once in 250 ms, however many ask", async () => {
  const { clock, state, reader: published } = reader();
  await Promise.all([published.current(), published.current()]);
  clock.advance(249);
  await published.current();
  assert.equal(state.reads, 1);
  state.version = 2;
  clock.advance(1);
  assert.equal((await published.current())?.version, 2);
});

Deno.test("PublishedReader.current() keeps the row it knows while the store fails", async () => {
  const { clock, state, reader: published } = reader();
  await published.current();
  state.down = true;
  clock.advance(250);
  assert.equal((await published.current())?.version, 1);
});

Deno.test("PublishedReader.current() throws if no row is known, and recovers", async () => {
  const { clock, state, reader: published } = reader();
  state.down = true;
  await assert.rejects(published.current(), /down/);
  state.down = false;
  clock.advance(250);
  assert.equal((await published.current())?.version, 1);
});

Deno.test("PublishedReader.recent() gives the row until it is 250 ms old, and never asks the store", async () => {
  const { clock, state, reader: published } = reader();
  assert.equal(published.recent(), null);
  await published.current();
  assert.equal(published.recent()?.version, 1);
  clock.advance(250);
  assert.equal(published.recent(), null);
  assert.equal(state.reads, 1);
});

Deno.test("PublishedReader.current() throws while a row that it knew is gone, and recovers", async () => {
  const { clock, state, reader: published } = reader();
  await published.current();
  state.version = 0;
  for (const _ of ["once", "again"]) {
    clock.advance(250);
    await assert.rejects(published.current(), { code: "unavailable", message: /^data version 1 .* is gone/ });
    assert.equal(published.recent(), null);
  }
  state.version = 2;
  clock.advance(250);
  assert.equal((await published.current())?.version, 2);
});

Deno.test("PublishedReader.current() gives null while nothing was ever published", async () => {
  const { state, reader: published } = reader();
  state.version = 0;
  assert.equal(await published.current(), null);
});
