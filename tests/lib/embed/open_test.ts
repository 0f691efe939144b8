import assert from "node:assert/strict";
import { openEmbedder } from "../../../lib/embed/open.ts";

Deno.test("openEmbedder() refuses an unknown scheme and lists the known ones", async () => {
  for (const url of ["", "onnx", "onnx:", "ftp://127.0.0.1/v1", "test", "bge-small-en-v1.5"]) {
    await assert.rejects(openEmbedder({ url }), {
      code: "invalid",
      message: /onnx:<folder>, onnx:<owner>\/<model>, https:.*, tei.*test:<dimension>/,
    });
  }
  await assert.rejects(openEmbedder({ url: "onnx:./nowhere?dtype=q9" }), {
    code: "invalid",
    message: /q8, fp32, int8, uint8, fp16/,
  });
  await assert.rejects(openEmbedder({ url: "onnx:nowhere/model" }), { code: "not_found" });
  for (const url of ["test:", "test:0", "test:1.5", "test:-3", "test:10000", "test:abc"]) {
    await assert.rejects(openEmbedder({ url }), { code: "invalid", message: /dimension of 1 to 9999/ });
  }
});

Deno.test("openEmbedder() refuses a number of sessions that makes no sense", async () => {
  const url = `onnx:${new URL("../../../models/bge-small-en-v1.5", import.meta.url).pathname}`;
  for (const sessions of [0, -1, 1.5, NaN]) {
    await assert.rejects(openEmbedder({ url, sessions }), { code: "invalid", message: /1 or more/ });
  }
});
