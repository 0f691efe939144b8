/**
 * `POST /recommendations` through the app, with the sample loaded by the bundled model, and with dialogues of ../shared/data/redial_dev
 * posted, each once; without that folder, with the sample's own messages. Latencies in milliseconds, one request at a time, and the time
 * of the processor for each, which is near the latency on a machine that does nothing else.
 * For figures of one core: `taskset -c 0 deno task bench posted`.
 */
import process from "node:process";
import { openServing } from "../../commands/services.ts";
import { loadConfig } from "../../lib/config.ts";
import { systemClock } from "../../lib/core/clock.ts";
import { openEmbedder } from "../../lib/embed/open.ts";
import { createApp } from "../../routes/app.ts";
import { nightlyRun, ROOT, runDag, withStores } from "../fixtures/flow.ts";

const REQUESTS = 120;
const SOURCES = [`${ROOT}../shared/data/redial_dev/messages.jsonl`, `${ROOT}sample/messages.ndjson`];

interface Said {
  readonly message: string;
  readonly role?: "user" | "assistant";
}

const source = SOURCES.find((path) => {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
})!;
const dialogue: Said[] = Deno.readTextFileSync(source).trimEnd().split("\n").map((line) => {
  const { message, role = "user" } = JSON.parse(line);
  return { message, role };
});
const users = dialogue.filter(({ role }) => role === "user");

/** Twenty messages that no other request has in this order. */
function twenty(said: readonly Said[], n: number): readonly Said[] {
  const at = (n * 61) % (said.length - 21);
  return said.slice(at, at + 20);
}

type Ask = (body: unknown) => Promise<string[]>;

/** What requests of one kind took, and how many of their answers were degraded. */
class Row {
  private readonly times: number[] = [];
  private cpu_us = 0;
  private degraded = 0;

  constructor(private readonly what: string) {}

  /** Returns whether the answer is whole. */
  async add(ask: Ask, body: unknown): Promise<boolean> {
    const before = process.cpuUsage();
    const start = performance.now();
    const { length } = await ask(body);
    this.times.push(performance.now() - start);
    const { user, system } = process.cpuUsage(before);
    this.cpu_us += user + system;
    if (length > 0) this.degraded++;
    return length === 0;
  }

  print(): void {
    const times = this.times.toSorted((a, b) => a - b);
    const at = (share: number) => times[Math.floor(share * (times.length - 1))]!.toFixed(1);
    const cpu = (this.cpu_us / 1_000 / times.length).toFixed(1);
    const degraded = `${this.degraded} of ${times.length}`;
    console.log(`| ${this.what} | ${at(0.5)} | ${at(0.95)} | ${at(0.99)} | ${cpu} | ${degraded} |`);
  }
}

async function measure(what: string, ask: Ask, body: (n: number) => unknown): Promise<void> {
  const row = new Row(what);
  for (let n = 0; n < REQUESTS; n++) await row.add(ask, body(n));
  row.print();
}

/** Conversations that are posted again and again until their answer is whole, one after the other, and then with another message. */
const REPEATED = 40;
const MAX_REPEATS = 20;

async function measureRepeats(ask: Ask): Promise<void> {
  const first = new Row("twenty of the user, new, with intents");
  const again = new Row("the same again at once, until all are classified");
  const more = new Row("one more message, with intents");
  const repeats: number[] = [];
  for (let n = 0; n < REPEATED; n++) {
    const messages = twenty(users, 2_000 + n);
    let isWhole = await first.add(ask, { messages });
    let times = 0;
    for (; !isWhole && times < MAX_REPEATS; times++) isWhole = await again.add(ask, { messages });
    repeats.push(times);
    await more.add(ask, { messages: [...messages.slice(1), users.at(-1 - n)!] });
  }
  for (const row of [first, again, more]) row.print();
  repeats.sort((a, b) => a - b);
  console.log(
    `\nrepeats until an answer is whole: ${repeats[REPEATED / 2]} (median), ${repeats.at(-1)} at most`,
  );
}

const folder = await Deno.makeTempDir({ prefix: "parley-posted-" });
try {
  const configOf = (more: Record<string, string>) =>
    loadConfig({ PARLEY_DATA: folder, ...more }, ROOT.slice(0, -1));
  const config = configOf({});
  const embedder = await openEmbedder({
    url: config.embeddings.href.replace("onnx://", "onnx:"),
    sessions: 1,
  });
  await embedder.embed({ texts: ["a text, so that the model is loaded"] });
  const { value: stores, close } = await withStores(config, async (flow) => {
    // Copies, since the sample itself comes with a catalogue of intents.
    const copyOf = (name: string) => {
      Deno.copyFileSync(`${ROOT}sample/${name}.ndjson`, `${folder}/${name}.ndjson`);
      return [`${folder}/${name}.ndjson`];
    };
    await nightlyRun(flow, {
      messages: copyOf("messages"),
      campaigns: copyOf("campaigns"),
      events: copyOf("events"),
    });
    return await openServing(config);
  });
  const open = async (model: boolean): Promise<Ask> => {
    const options = { stores, clock: systemClock, version: "bench", keys: [], log: null };
    const app = await createApp({ ...options, ...model && { embedder: () => Promise.resolve(embedder) } });
    const ask: Ask = async (body) => {
      const response = await app.request("/recommendations", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      });
      return (await response.json()).degraded;
    };
    for (let n = 0; n < 20; n++) await ask({ messages: twenty(dialogue, 10_000 + n) });
    return ask;
  };
  const lengths = Array.from(
    { length: REQUESTS },
    (_, n) => twenty(users, n).map(({ message }) => message).join("\n").length,
  );
  console.log(
    `twenty messages of a user: ${lengths.sort((a, b) => a - b)[REQUESTS / 2]} characters (median)\n`,
  );
  console.log("| posted | p50 | p95 | p99 | CPU | degraded |\n| ------ | --- | --- | --- | --- | -------- |");
  const asked = await open(true);
  await measure("twenty messages of both sides, new", asked, (n) => ({ messages: twenty(dialogue, n) }));
  await measure("twenty messages of the user, new", asked, (n) => ({ messages: twenty(users, 1_000 + n) }));
  await measure("the same again", asked, (n) => ({ messages: twenty(users, 1_000 + n) }));
  const plain = await open(false);
  await measure(
    "twenty messages of the user, without a model",
    plain,
    (n) => ({ messages: twenty(users, n) }),
  );
  const withIntents = configOf({ PARLEY_INTENTS: `${ROOT}sample/intents.json` });
  await withStores(withIntents, async (flow) => void await runDag(flow, "intents", {}));
  const labelling = await open(true);
  await measureRepeats(labelling);
  await embedder.close();
  await close();
} finally {
  await Deno.remove(folder, { recursive: true });
}
