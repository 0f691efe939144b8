/**
 * What a listener costs: Deno.serve against node:http with an adapter that does only what is needed, each in a process of its
 * own, for a cached answer and a bare Hono handler of the same length, with 1 and 16 clients on loopback. The ways take turns,
 * and each figure is the median of its rounds.
 *
 *     deno task bench listener
 */
import { createServer } from "node:http";
import { type Hono, loadHono } from "../../deps.ts";
import { createApp } from "../../routes/app.ts";
import { NOW, openWorld } from "../lib/recommend/world.ts";

const LISTENERS = ["Deno.serve", "node:http"] as const;
const HANDLERS = ["cached", "bare"] as const;
const CLIENTS = [1, 16];
const ROUNDS = 3;
const WARM_UP = 1_000;
const REQUESTS = 5_000;
const PATH = "/recommendations/ann";
type Listener = typeof LISTENERS[number];
type Handler = typeof HANDLERS[number];

if (Deno.args[0] === "serve") await serveOne(Deno.args[1] as Listener, Deno.args[2] as Handler);
else await bench();

async function serveOne(listener: Listener, handler: Handler): Promise<void> {
  const { fetch } = handler === "cached" ? await cachedApp() : await bareApp();
  const listening = (port: number) => console.log(port);
  if (listener === "Deno.serve") {
    Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: ({ port }) => listening(port) }, (r) => fetch(r));
    return;
  }
  const server = createServer(async (incoming, outgoing) => {
    const headers = incoming.headers as Record<string, string>;
    const response = await fetch(new Request(`http://${headers.host}${incoming.url}`, { headers }));
    outgoing.writeHead(response.status, Object.fromEntries(response.headers));
    outgoing.end(new Uint8Array(await response.arrayBuffer()));
  });
  server.listen(0, "127.0.0.1", () => listening((server.address() as { port: number }).port));
}

async function cachedApp(): Promise<Hono> {
  const { stores } = await openWorld();
  const clock = { now: () => NOW };
  return await createApp({ stores, dags: [], clock, version: "bench", keys: [], log: null });
}

async function bareApp(): Promise<Hono> {
  const text = await (await (await cachedApp()).request(PATH)).text();
  const { Hono } = await loadHono();
  const headers = { "content-type": "application/json" };
  return new Hono().get("/recommendations/:user_id", () => new Response(text, { headers }));
}

interface Figures {
  readonly per_second: number;
  readonly p50: number;
  readonly p99: number;
}

async function measure(url: string, clients: number): Promise<Figures> {
  await ask(url, clients, WARM_UP);
  const start = performance.now();
  const times = (await ask(url, clients, REQUESTS)).sort((a, b) => a - b);
  const seconds = (performance.now() - start) / 1_000;
  const at = (share: number) => times[Math.floor(share * times.length)] ?? NaN;
  return { per_second: times.length / seconds, p50: at(0.5), p99: at(0.99) };
}

async function ask(url: string, clients: number, requests: number): Promise<number[]> {
  const times: number[] = [];
  const client = async () => {
    for (let i = 0; i < requests / clients; i++) {
      const start = performance.now();
      const response = await fetch(url);
      await response.text();
      times.push(performance.now() - start);
      if (response.status !== 200) throw new Error(`expected 200 and got ${response.status}`);
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  return times;
}

async function bench(): Promise<void> {
  const ways = LISTENERS.flatMap((listener) => HANDLERS.map((handler) => ({ listener, handler })));
  const servers = await Promise.all(ways.map(spawn));
  const measured = new Map<string, Figures[]>();
  for (let round = 0; round < ROUNDS; round++) {
    for (const clients of CLIENTS) {
      for (const { listener, handler, url } of servers) {
        const name = `${listener.padEnd(12)}${handler.padEnd(8)}${String(clients).padStart(7)}`;
        measured.set(name, [...measured.get(name) ?? [], await measure(url, clients)]);
      }
    }
  }
  for (const { child } of servers) child.kill();
  await Promise.all(servers.map(({ child }) => child.status));
  console.log("listener    answer  clients    req/s   p50 ms   p99 ms");
  for (const [name, rounds] of measured) {
    const of = (figure: keyof Figures, digits: number) =>
      median(rounds.map((each) => each[figure])).toFixed(digits).padStart(9);
    console.log(name + of("per_second", 0) + of("p50", 3) + of("p99", 3));
  }
}

async function spawn({ listener, handler }: { listener: Listener; handler: Handler }) {
  const args = ["run", "--quiet", "--allow-all", import.meta.filename!, "serve", listener, handler];
  const child = new Deno.Command(Deno.execPath(), { args, stdout: "piped" }).spawn();
  const { value } = await child.stdout.pipeThrough(new TextDecoderStream()).getReader().read();
  return { listener, handler, child, url: `http://127.0.0.1:${value?.trim()}${PATH}` };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}
