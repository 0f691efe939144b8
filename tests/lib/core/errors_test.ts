import assert from "node:assert/strict";
import {
  causeOf,
  messageOf,
  ParleyError,
  reasonOf,
  stackFrames,
  withCauses,
} from "../../../lib/core/errors.ts";

Deno.test("causeOf() names a foreign error and its place without its message", () => {
  const cause = causeOf(new SyntaxError(`"my card number is" is not valid JSON`));
  assert.match(cause, /^SyntaxError at tests\/lib\/core\/errors_test\.ts:\d+:\d+$/);
  assert.doesNotMatch(cause, /card number/);
});

Deno.test("causeOf() keeps the sentence of Parley's own error", () => {
  assert.equal(
    causeOf(new ParleyError("conflict", "another process runs")),
    "conflict: another process runs",
  );
});

Deno.test("withCauses() gives the sentence and its causes, without the message of foreign errors", () => {
  const foreign = new TypeError("ann said hello");
  const store = new ParleyError("unavailable", "the store is gone", { cause: foreign });
  const text = withCauses(new Error("the task failed", { cause: store }));
  assert.match(text, /^the task failed\ncaused by unavailable: the store is gone\ncaused by TypeError at /);
  assert.doesNotMatch(text, /ann/);
  const round = new Error("round");
  round.cause = round;
  assert.equal(withCauses(round).split("\n").length, 6);
  assert.equal(withCauses("text"), "text");
});

Deno.test("causeOf() gives no place outside this program, and of a timeout that it was one", () => {
  const error = new Error("a password");
  error.stack = [
    "Error: a password",
    "    at Timeout.run (file:///root/.cache/deno/npm/registry.example/library/1.0.0/dist/file.js:1:2)",
    "    at ext:core/01_core.js:9:9",
  ].join("\n");
  assert.equal(causeOf(error), "Error");
  const ours = new URL("../../../lib/dag/driver.ts", import.meta.url).href;
  error.stack += `\n    at async Driver.run (${ours}:7:1)\n    at ${ours}:9:1`;
  assert.equal(causeOf(error), "Error at lib/dag/driver.ts:7:1");
  assert.deepEqual(stackFrames(error), ["lib/dag/driver.ts:7:1", "lib/dag/driver.ts:9:1"]);
  assert.equal(causeOf(AbortSignal.abort(new DOMException("x", "TimeoutError")).reason), "timed out");
});

Deno.test("reasonOf() gives sentences of Parley and SQLite, and of others no word", () => {
  assert.equal(reasonOf(new ParleyError("denied", "no")), "no");
  assert.match(reasonOf(new TypeError("a password")), /^TypeError at tests/);
  const sqlite = Object.assign(new Error("no such table: messages"), { code: "ERR_SQLITE_ERROR" });
  assert.equal(reasonOf(sqlite), "no such table: messages");
});

Deno.test("messageOf() names no file of a library, and every other", () => {
  const file = "/root/.cache/deno/npm/registry.example/library/1.0.0/file.js:1:2";
  assert.equal(
    messageOf(new Error(`cannot load ${file} (file://${file})`)),
    "cannot load a library (a library)",
  );
  assert.equal(messageOf(new Error("no file '/home/ann/deno/x.json'")), "no file '/home/ann/deno/x.json'");
});
