/**
 * Messages a second through the default model, with one session and with one a core, over the first messages of a
 * dialogue corpus.
 *
 *     deno run --allow-read --allow-env --allow-ffi tests/bench/embed.ts [messages.ndjson] [count]
 */
import { openEmbedder } from "../../lib/embed/open.ts";

const [path = "../shared/data/redial_dev/messages.jsonl", count = "1500"] = Deno.args;
const lines = (await Deno.readTextFile(path)).split("\n", Number(count));
const texts = lines.map((line) => String(JSON.parse(line).message)).filter((text) => text.trim() !== "");
const distinct = new Set(texts).size;

for (const sessions of new Set([1, navigator.hardwareConcurrency])) {
  const opening = performance.now();
  const embedder = await openEmbedder({ url: "onnx:models/bge-small-en-v1.5", sessions });
  const loading = performance.now();
  await embedder.embed({ texts: Array.from({ length: 16 * sessions }, (_, at) => `warm up ${at}`) });
  const start = performance.now();
  await embedder.embed({ texts });
  const seconds = (performance.now() - start) / 1000;
  await embedder.close();
  console.log(
    `${sessions} session(s): ${(distinct / seconds).toFixed(0)} distinct texts/s, ` +
      `${(texts.length / seconds).toFixed(0)} messages/s (${texts.length} messages, ${distinct} distinct); ` +
      `open ${(loading - opening).toFixed(0)} ms, load ${(start - loading).toFixed(0)} ms, ` +
      `rss ${(Deno.memoryUsage().rss / 2 ** 20).toFixed(0)} MiB`,
  );
}
