/**
 * What `serve` does, as a process of its own with its request log, next to bare Hono: the time from the start to the first
 * answer, answers out of the cache and computed ones by clients on loopback that ask again as soon as they have an answer, and
 * memory. CPU is that of the server. The sample is loaded into a new folder, unless there is one with published data.
 *
 *     deno task bench serving
 *     deno run --allow-all tests/bench/serving.ts DATA_FOLDER MESSAGES.ndjson     whose users are asked for
 */
import { loadHono } from "../../deps.ts";
import { httpClients } from "./lib/http_clients.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const STARTS = 5;
const ROUNDS = 3;
const CACHED = 5_000;
const COMPUTED = 500;
const MANY = 100_000;

if (Deno.args[0] === "bare") await serveBare(await Deno.readTextFile(Deno.args[1]!));
else if (Deno.args.length === 2) await bench(Deno.args[0]!, Deno.args[1]!);
else await benchSample();

/** One answer as a text that is ready, and as an object of which each response is made. */
async function serveBare(text: string): Promise<void> {
  const { Hono } = await loadHono();
  const answer = JSON.parse(text);
  const headers = { "content-type": "application/json" };
  const app = new Hono().get("/json/:user_id", (context) => context.json(answer))
    .get("/text/:user_id", () => new Response(text, { headers }));
  Deno.serve({ hostname: "127.0.0.1", port: Number(Deno.args[2]), onListen: () => {} }, (r) => app.fetch(r));
}

async function benchSample(): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "parley-bench-" });
  const sample = `${ROOT}sample`;
  try {
    const sources = ["messages", "campaigns", "events"].flatMap((kind) => [
      `--${kind}`,
      `${sample}/${kind}.ndjson`,
    ]);
    const { success, stderr } = await parley(folder, ["pipeline", ...sources]).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
    await bench(folder, `${sample}/messages.ndjson`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function parley(folder: string, args: readonly string[], port = 0) {
  const env = {
    PARLEY_DATA: folder,
    PARLEY_EMBEDDINGS: "test:384",
    PARLEY_ALLOW_TEST_EMBEDDER: "1",
    PARLEY_PORT: String(port),
  };
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-check", "--allow-all", `${ROOT}main.ts`, ...args],
    env,
    stdout: "null",
    stderr: "piped",
  }).spawn();
}

/** A port that is free now. */
function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

async function bench(folder: string, messages: string): Promise<void> {
  const users = [...new Set((await Deno.readTextFile(messages)).match(/(?<="user_id": ?")[^"]+/g))];
  const path = (user: string) => `/recommendations/${encodeURIComponent(user)}`;
  const paths = users.map(path);
  const starts: number[] = [];
  for (let i = 1; i < STARTS; i++) {
    const server = await serve(folder, paths[0]!);
    starts.push(server.start_ms);
    await server.close();
  }
  const server = await serve(folder, paths[0]!);
  starts.push(server.start_ms);
  console.log(`start to first answer: ${median(starts).toFixed(0)} ms, median of ${STARTS}`);

  const text = await (await fetch(`http://127.0.0.1:${server.port}${paths[0]}`)).text();
  const bare = await openBare(text);
  let asked = 0;
  const computed = () => `${paths[asked % paths.length]}?exclude=none-${asked++}`;
  const rows: [string, Server, () => string, number, number][] = [1, 16].flatMap((clients) => [
    ["cached", server, () => paths[0]!, clients, CACHED],
    ["bare Hono, JSON", bare, () => "/json/a", clients, CACHED],
    ["bare Hono, text", bare, () => "/text/a", clients, CACHED],
  ]);
  rows.push(["computed", server, computed, 1, COMPUTED], ["computed", server, computed, 64, COMPUTED]);
  console.log("answers            clients    req/s   p50 ms   p99 ms   CPU µs  not 200");
  const measured = rows.map((): Figures[] => []);
  // In turns, so that other load is the same for all.
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, [, server, next, clients, requests]] of rows.entries()) {
      await measure(server, { next, clients, requests: requests / 10 });
      measured[i]!.push(await measure(server, { next, clients, requests }));
    }
  }
  for (const [i, [name, , , clients]] of rows.entries()) {
    const of = (figure: keyof Figures, digits: number) =>
      median(measured[i]!.map((each) => each[figure])).toFixed(digits).padStart(9);
    console.log(
      `${name.padEnd(19)}${String(clients).padStart(7)}${of("per_second", 0)}${of("p50", 2)}${of("p99", 2)}` +
        `${of("cpu_us", 0)}${of("refused", 0)}`,
    );
  }
  const before = memory(server.pid);
  await measure(server, { next: () => paths[asked++ % paths.length]!, clients: 16, requests: MANY });
  console.log(`memory: ${before} MB, and ${memory(server.pid)} MB after ${MANY} more answers`);
  await server.close();
  await bare.close();
}

interface Server {
  readonly port: number;
  readonly pid: number;
  close(): Promise<void>;
}

async function serve(folder: string, path: string): Promise<Server & { start_ms: number }> {
  const start = performance.now();
  const port = freePort();
  const child = parley(folder, ["serve"], port);
  const logged = child.stderr.pipeTo(new WritableStream());
  await answers(`http://127.0.0.1:${port}${path}`);
  const start_ms = performance.now() - start;
  return { port, pid: child.pid, start_ms, close: () => end(child).then(() => logged) };
}

async function openBare(text: string): Promise<Server> {
  const file = await Deno.makeTempFile();
  await Deno.writeTextFile(file, text);
  const port = freePort();
  const args = [
    "run",
    "--quiet",
    "--no-check",
    "--allow-all",
    import.meta.filename!,
    "bare",
    file,
    `${port}`,
  ];
  const child = new Deno.Command(Deno.execPath(), { args }).spawn();
  await answers(`http://127.0.0.1:${port}/text/a`);
  return { port, pid: child.pid, close: () => end(child).then(() => Deno.remove(file)) };
}

async function answers(url: string): Promise<void> {
  for (;;) {
    const response = await fetch(url).catch(() => null);
    await response?.body?.cancel();
    if (response?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

async function end(child: Deno.ChildProcess): Promise<void> {
  child.kill();
  await child.status;
}

interface Figures {
  readonly per_second: number;
  readonly p50: number;
  readonly p99: number;
  /** CPU time of the server for each answer, in microseconds. */
  readonly cpu_us: number;
  /** Answers whose status is not 200. */
  readonly refused: number;
}

async function measure(
  { port, pid }: Server,
  options: { next: () => string; clients: number; requests: number },
): Promise<Figures> {
  const start = { ms: performance.now(), cpu: cpuMs(pid) };
  const answers = await httpClients({ port, ...options });
  const seconds = (performance.now() - start.ms) / 1_000;
  const times = answers.map(({ ms }) => ms).sort((a, b) => a - b);
  const at = (share: number) => times[Math.floor(share * times.length)]!;
  return {
    per_second: times.length / seconds,
    p50: at(0.5),
    p99: at(0.99),
    cpu_us: 1_000 * (cpuMs(pid) - start.cpu) / times.length,
    refused: answers.filter(({ status }) => status !== 200).length,
  };
}

/** CPU time of a process, in milliseconds; the kernel counts hundredths of a second. */
function cpuMs(pid: number): number {
  const fields = Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ")[1]!.split(" ");
  return 10 * (Number(fields[11]) + Number(fields[12]));
}

/** Resident, in megabytes. */
function memory(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+)/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`))![1];
  return Math.round(1_024 * Number(kilobytes) / 1e6);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}
