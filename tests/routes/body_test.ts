import assert from "node:assert/strict";
import { readBody } from "../../routes/http/body.ts";
import { HttpError } from "../../routes/http/problem.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const post = (body: ReadableStream<Uint8Array> | string | null) =>
  new Request("http://localhost", { method: "POST", body });
const isStatus = (status: number) => (error: unknown) =>
  error instanceof HttpError && error.status === status;

Deno.test("readBody() joins what comes in parts", async () => {
  const parts = [bytes("caf"), bytes("é").subarray(0, 1), bytes("é").subarray(1)];
  assert.equal(await readBody(post(ReadableStream.from(parts)), 5), "café");
  assert.equal(await readBody(post(""), 5), "");
  assert.equal(await readBody(post(null), 5), "");
});

Deno.test("readBody() answers a body that is too large with 413, without reading on", async () => {
  let sent = 0;
  let cancelled = false;
  const endless = new ReadableStream<Uint8Array>({
    pull: (controller) => (sent++, controller.enqueue(bytes("x".repeat(10)))),
    cancel: () => void (cancelled = true),
  });
  await assert.rejects(readBody(post(endless), 100), isStatus(413));
  assert.ok(cancelled);
  assert.ok(sent < 20);
});

Deno.test("readBody() answers a body that does not arrive in time with 408", async () => {
  let cancelled = false;
  const silent = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(bytes("{")),
    cancel: () => void (cancelled = true),
  });
  await assert.rejects(readBody(post(silent), 100, 30), isStatus(408));
  assert.ok(cancelled);
});

Deno.test("readBody() answers a body that breaks off with 400", async () => {
  const broken = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.error(new TypeError("gone")),
  });
  await assert.rejects(readBody(post(broken), 100), isStatus(400));
});

Deno.test("readBody() answers a body that is not UTF-8 with 400", async () => {
  for (const part of [Uint8Array.of(0x22, 0xff, 0x22), bytes("é").subarray(0, 1)]) {
    await assert.rejects(readBody(post(ReadableStream.from([part])), 100), isStatus(400));
  }
});
