/**
 * How long after a write the user's next answer knows it: messages, clicks, dismissals and campaigns are posted to one process
 * of the API, and another one over the same stores is asked until its answer shows them. With the bundled model, on the sample.
 * Then messages of new users are written at a given rate, and a message of another user is measured among them every half second.
 *
 *     deno run --allow-all tests/bench/freshness.ts
 */
import { nightlyRun, SAMPLE, withFlow } from "../fixtures/flow.ts";
import { ReplicaProcess } from "../fixtures/replica.ts";

const TIMES = 100;
const PERIOD_MS = 2;
/** Messages a second that are written while others are measured, and for how long. */
const RATES = [10, 20, 40, 60, 80, 120];
const RATE_MS = 12_000;
const PROBE_MS = 500;

interface AnswerItem {
  readonly campaign_id: string;
}

async function answerOf(
  api: ReplicaProcess,
  user_id: string,
): Promise<{ text: string; items: AnswerItem[] }> {
  const { items, strategy } = await (await fetch(`${api.url}/recommendations/${user_id}?k=100`)).json();
  return { text: JSON.stringify([items, strategy]), items };
}

/** Milliseconds from before the write until an answer of the other process holds. */
async function measure(
  write: () => ReturnType<ReplicaProcess["post"]>,
  holds: () => Promise<boolean>,
): Promise<number> {
  const start = performance.now();
  const { status, text } = await write();
  if (status !== 200) throw new Error(text);
  while (!await holds()) {
    if (performance.now() - start > 60_000) throw new Error("the answer does not change");
    await new Promise((resume) => setTimeout(resume, PERIOD_MS));
  }
  return performance.now() - start;
}

function print(what: string, times: number[]): void {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!.toFixed(0);
  console.log(`| ${what} | ${at(0.5)} | ${at(0.99)} | ${at(1)} |`);
}

/** Writes messages of new users at a rate, and measures messages of others meanwhile. Returns the rate that was reached, too. */
async function underLoad(
  rate: number,
  { post, change }: {
    post: (user_id: string, text: string) => ReturnType<ReplicaProcess["post"]>;
    change: (user_id: string) => Promise<() => Promise<boolean>>;
  },
): Promise<{ times: number[]; written: number }> {
  const [writes, probes]: [Promise<unknown>[], Promise<number>[]] = [[], []];
  const start = performance.now();
  let ms = 0;
  for (let next_probe = PROBE_MS; ms < RATE_MS; ms = performance.now() - start) {
    while (writes.length < rate * ms / 1_000) {
      const n = writes.length;
      writes.push(post(`load-${rate}-${n}`, `I look for a warm jacket for tour number ${n} of ${rate}`));
    }
    if (ms >= next_probe) {
      next_probe += PROBE_MS;
      const user_id = `probe-${rate}-${probes.length}`;
      const probe = async () =>
        await measure(() => post(user_id, `I need a tent, ${user_id}`), await change(user_id));
      probes.push(probe());
    }
    await new Promise((resume) => setTimeout(resume, PERIOD_MS));
  }
  await Promise.all(writes);
  const written = 1_000 * (writes.length + probes.length) / (performance.now() - start);
  return { times: await Promise.all(probes), written };
}

await withFlow(async (flow) => {
  await nightlyRun(flow, SAMPLE);
  const [one, two] = [await ReplicaProcess.start(flow.config), await ReplicaProcess.start(flow.config)];
  const now = () => new Date().toISOString();
  const change = async (user_id: string) => {
    const { text } = await answerOf(two, user_id);
    return async () => (await answerOf(two, user_id)).text !== text;
  };
  try {
    // The first write loads the model.
    await one.post("/messages", { user_id: "first", message: "Hello there", timestamp: now() });
    await new Promise((resume) => setTimeout(resume, 3_000));
    const times: Record<string, number[]> = { message: [], click: [], dismissal: [], campaign: [] };
    for (let n = 0; n < TIMES; n++) {
      const user_id = `fresh-${n}`;
      const message = `I need a ${["tent", "jacket", "stove", "map"][n % 4]} for walk number ${n}`;
      times.message!.push(
        await measure(
          () => one.post("/messages", { user_id, message, timestamp: now() }),
          await change(user_id),
        ),
      );
      const event = (type: string, campaign_id: string) =>
        one.post("/events", { user_id, campaign_id, type, timestamp: now() });
      const [shown, other] = (await answerOf(two, user_id)).items;
      times.click!.push(
        await measure(() => event("click", other!.campaign_id), await change(user_id)),
      );
      times.dismissal!.push(
        await measure(
          () => event("dismissal", shown!.campaign_id),
          async () =>
            (await answerOf(two, user_id)).items.every((item) => item.campaign_id !== shown!.campaign_id),
        ),
      );
      const campaign_id = `new-${n}`;
      times.campaign!.push(
        await measure(
          () => one.post("/campaigns", { campaign_id, title: message }),
          async () => (await answerOf(two, user_id)).items.some((item) => item.campaign_id === campaign_id),
        ),
      );
    }
    console.log("| written | p50 ms | p99 ms | slowest ms |");
    console.log("| ------- | ------ | ------ | ---------- |");
    for (const [what, each] of Object.entries(times)) print(what, each);
    for (const rate of RATES) {
      const post = (user_id: string, message: string) =>
        one.post("/messages", { user_id, message, timestamp: now() });
      const { times: each, written } = await underLoad(rate, { post, change });
      print(`a message, among ${written.toFixed(0)} writes a second`, each);
    }
  } finally {
    await one.stop();
    await two.stop();
  }
}, { PARLEY_EMBEDDINGS: Deno.args[0] ?? "onnx:./models/bge-small-en-v1.5" });
