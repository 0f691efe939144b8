/** All stores in one PostgreSQL (PARLEY_STORES): how it is shown, and what answers are while it is away. */
import assert from "node:assert/strict";
import { doctor } from "../../commands/doctor.ts";
import { logMissing, openServing } from "../../commands/services.ts";
import { withAsker } from "../fixtures/faults.ts";
import { type Flow, nightlyRun, SAMPLE, withFlow } from "../fixtures/flow.ts";
import { dropSchema, freshSchema, NEEDS_PGVECTOR, PGVECTOR } from "../fixtures/postgres.ts";
import { proxied } from "../fixtures/tcp_proxy.ts";
import { until } from "../fixtures/until.ts";

type Proxy = ReturnType<typeof proxied>["proxy"];

/** Enough for a busy machine, and each answer waits as long for a silent server until its circuits open. */
const ANSWER_MS = 2_000;

function test(name: string, body: (flow: Flow, proxy: Proxy) => Promise<void>): void {
  if (PGVECTOR === undefined) return Deno.test.ignore(`${name}: ${NEEDS_PGVECTOR}`, () => {});
  const direct = freshSchema(PGVECTOR);
  Deno.test(name, async () => {
    const { url, proxy } = proxied(direct, 5_432);
    try {
      await withFlow(async (flow) => {
        assert.equal((await nightlyRun(flow, SAMPLE)).outcome, "success");
        await body(flow, proxy);
      }, { PARLEY_STORES: url.href });
    } finally {
      await proxy.close();
      await dropSchema(direct);
    }
  });
}

/** The lines that something prints. */
async function printed(method: "log" | "error", body: () => Promise<unknown>): Promise<string[]> {
  const lines: string[] = [];
  const original = console[method];
  console[method] = (line: string) => lines.push(line);
  try {
    await body();
  } finally {
    console[method] = original;
  }
  return lines;
}

test("doctor and serve name one PostgreSQL once, whether it is up or down", async ({ config }, proxy) => {
  const places = async () =>
    (await printed("log", () => doctor(config, { json: false }))).filter((line) =>
      line.includes(config.vectors.host)
    );
  const [up, ...others] = await places();
  assert.match(up!, /✔.* documents, analytics, vectors, graph, runs postgres \d+.* ms, .* MB, postgres:\/\//);
  assert.deepEqual(others, []);
  proxy.down();
  const [down, ...more] = await places();
  assert.match(
    down!,
    /✖ documents, analytics, vectors, graph, runs .* cannot be reached: check that it is running/,
  );
  assert.deepEqual(more, []);
  const { value: stores, close } = await openServing(config);
  try {
    const missing = await printed("error", () => logMissing(stores, config.shared_stores));
    assert.equal(missing.length, 1);
    assert.match(
      missing[0]!,
      /^parley: vectors, graph, analytics, documents, runs: PostgreSQL at .* cannot be reached/,
    );
  } finally {
    await close();
  }
  await proxy.up();
});

for (const fault of ["down", "silent"] as const) {
  test(
    `answers continue while one PostgreSQL is ${fault}, and are whole again once it is back`,
    async ({ config }, proxy) => {
      await withAsker({ config, answer_ms: ANSWER_MS }, async (asker) => {
        const cached = asker.next();
        await until(async () => (await asker.ask(cached)).cache === "hit");
        if (fault === "down") proxy.down();
        else proxy.hang(true);
        const { items, degraded } = await asker.ask();
        assert.ok(items > 0, "what was popular last");
        assert.ok(degraded.includes("analytics"));
        const stale = await asker.ask(cached);
        assert.deepEqual([stale.cache, stale.items > 0], ["stale", true]);
        if (fault === "down") await proxy.up();
        else proxy.hang(false);
        await asker.untilWhole();
      });
    },
  );
}
