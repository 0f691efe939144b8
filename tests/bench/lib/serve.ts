import { type Hono, loadHono } from "../../../deps.ts";

/** One line of the result. Latencies in milliseconds, one request at a time. */
export interface Figure {
  /** `handler`: through `app.fetch`; `socket`: over HTTP on loopback, client and server in one process. */
  readonly way: "handler" | "socket";
  /** `bare` is a Hono handler that returns a ready text of the same length. */
  readonly what: "uncached" | "cached" | "bare";
  readonly requests: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly per_second: number;
}

type Ask = (path: string) => Promise<Response>;

/** Requests per measurement of what is cached or bare; more than enough for a steady p99. */
const REPEATS = 5_000;
const WARM_UP = 500;

/**
 * Measures `GET /recommendations/:user_id` of an app that has no other users. Every user is asked for once per way and a value
 * of `k` of its own, so that each of these is a miss; give at least a thousand users for a p99 that means something.
 */
export async function benchServe(options: { app: Hono; user_ids: readonly string[] }): Promise<Figure[]> {
  const path = recommendationPath(options.user_ids[0] ?? "nobody", 10);
  const bare = await bareApp(await (await options.app.request(path)).text());
  const handler = await measureWay("handler", { ...options, path, app: via(options.app), bare: via(bare) });
  const [served, bareServed] = [listen(options.app), listen(bare)];
  try {
    const socket = { ...options, path, app: over(served), bare: over(bareServed) };
    return [...handler, ...await measureWay("socket", socket)];
  } finally {
    await Promise.all([served.shutdown(), bareServed.shutdown()]);
  }
}

async function measureWay(
  way: Figure["way"],
  options: { app: Ask; bare: Ask; path: string; user_ids: readonly string[] },
): Promise<Figure[]> {
  const [warmK, k] = way === "handler" ? [9, 10] : [11, 12];
  const misses = (k: number) => options.user_ids.map((id) => recommendationPath(id, k));
  const repeated = (times: number) => Array<string>(times).fill(options.path);
  await timed(options.app, misses(warmK).slice(0, WARM_UP));
  const uncached = await timed(options.app, misses(k).slice(1));
  for (const ask of [options.app, options.bare]) await timed(ask, repeated(WARM_UP));
  const cached = await timed(options.app, repeated(REPEATS));
  const bare = await timed(options.bare, repeated(REPEATS));
  return [
    figure(way, "uncached", uncached),
    figure(way, "cached", cached),
    figure(way, "bare", bare),
  ];
}

async function timed(ask: Ask, paths: readonly string[]): Promise<number[]> {
  const times: number[] = [];
  for (const path of paths) {
    const start = performance.now();
    const response = await ask(path);
    await response.text();
    times.push(performance.now() - start);
    if (response.status !== 200) throw new Error(`expected 200 and got ${response.status}`);
  }
  return times;
}

function figure(way: Figure["way"], what: Figure["what"], times: number[]): Figure {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN;
  const total = times.reduce((sum, ms) => sum + ms, 0);
  return {
    way,
    what,
    requests: times.length,
    p50: at(0.5),
    p95: at(0.95),
    p99: at(0.99),
    per_second: 1_000 * times.length / total,
  };
}

/** The figures as lines for people, with cached over bare requests per second. */
export function formatFigures(figures: readonly Figure[]): string {
  const ms = (value: number) => value.toFixed(3).padStart(9);
  const lines = figures.map((f) =>
    `${f.way.padEnd(8)}${f.what.padEnd(9)}${ms(f.p50)}${ms(f.p95)}${ms(f.p99)}` +
    `${f.per_second.toFixed(0).padStart(9)}${String(f.requests).padStart(10)}`
  );
  const ratios = (["handler", "socket"] as const).map((way) =>
    `${way}: cached answers at ${ratio(figures, way).toFixed(2)} × the requests/s of a bare handler`
  );
  return ["way     what        p50 ms   p95 ms   p99 ms    req/s  requests", ...lines, ...ratios].join("\n");
}

function ratio(figures: readonly Figure[], way: Figure["way"]): number {
  const rate = (what: Figure["what"]) =>
    figures.find((f) => f.way === way && f.what === what)?.per_second ?? NaN;
  return rate("cached") / rate("bare");
}

function recommendationPath(user_id: string, k: number): string {
  return `/recommendations/${encodeURIComponent(user_id)}?k=${k}`;
}

async function bareApp(body: string): Promise<Hono> {
  const { Hono } = await loadHono();
  const headers = { "content-type": "application/json" };
  return new Hono().get("/recommendations/:user_id", () => new Response(body, { headers }));
}

function via(app: Hono): Ask {
  return async (path) => await app.fetch(new Request(`http://localhost${path}`));
}

function listen(app: Hono): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, app.fetch);
}

function over(server: Deno.HttpServer<Deno.NetAddr>): Ask {
  const origin = `http://127.0.0.1:${server.addr.port}`;
  return (path) => fetch(origin + path);
}
