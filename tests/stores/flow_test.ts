import assert from "node:assert/strict";
import { openServing } from "../../commands/services.ts";
import { systemClock } from "../../lib/core/clock.ts";
import { createApp } from "../../routes/app.ts";
import { digests, type Flow, nightlyRun, SAMPLE, withFlow } from "../fixtures/flow.ts";
import { dropSchema, freshSchema, PGVECTOR } from "../fixtures/postgres.ts";
import { freshServers, missingServers, type Setting } from "../fixtures/servers.ts";

const ALL = [
  "PARLEY_DOCUMENTS",
  "PARLEY_VECTORS",
  "PARLEY_GRAPH",
  "PARLEY_ANALYTICS",
  "PARLEY_CACHE",
] as const;

/** What the embedded set makes of the sample: the answers of some users, and each store's digest. */
interface Outcome {
  readonly answers: Readonly<Record<string, readonly [string, number][]>>;
  readonly digests: Readonly<Record<string, string>>;
}

const USERS = [
  "keziah-boateng",
  "graham-pellow",
  "leah-whitcombe",
  "pip-longstaff",
  "mara-lindqvist",
  "nobody",
];

async function outcomeOf(flow: Flow): Promise<Outcome> {
  const { outcome, snapshot } = await nightlyRun(flow, SAMPLE);
  assert.equal(outcome, "success", snapshot.run.error ?? "");
  const { value: stores, close } = await openServing(flow.config);
  try {
    const app = await createApp({
      stores,
      clock: systemClock,
      version: "test",
      keys: [],
      answer_ms: 30_000,
      log: null,
    });
    const answers: Record<string, [string, number][]> = {};
    for (const user of USERS) {
      const answer = await (await app.request(`/recommendations/${user}?k=10`)).json();
      assert.deepEqual(answer.degraded, []);
      answers[user] = answer.items.map((
        item: { campaign_id: string; score: number },
      ) => [item.campaign_id, item.score]);
    }
    return { answers, digests: await digests(flow) };
  } finally {
    await close();
  }
}

let embedded: Outcome | null = null;
async function embeddedOutcome(): Promise<Outcome> {
  if (embedded === null) {
    await withFlow(async (flow) => {
      embedded = await outcomeOf(flow);
    });
  }
  return embedded!;
}

interface Settings {
  readonly env: Record<string, string>;
  drop(): Promise<void>;
}

function sameAs(name: string, missing: readonly string[], fresh: () => Settings): void {
  const what = `the sample gives the same answers on ${name} as on the embedded stores`;
  if (missing.length > 0) {
    Deno.test({ name: `${what}: ${missing.join(", ")} not set`, ignore: true, fn() {} });
    return;
  }
  Deno.test(what, async () => {
    const expected = await embeddedOutcome();
    const { env, drop } = fresh();
    try {
      await withFlow(async (flow) => {
        const actual = await outcomeOf(flow);
        assert.deepEqual(actual.digests, expected.digests);
        assert.deepEqual(actual.answers, expected.answers);
        const repeated = await nightlyRun(flow, SAMPLE);
        assert.equal(repeated.snapshot.tasks.find(({ task_id }) => task_id === "ingest")?.state, "skipped");
      }, env);
    } finally {
      await drop();
    }
  });
}

const sameOn = (name: string, settings: readonly Setting[]) =>
  sameAs(name, missingServers(settings), () => freshServers(settings));

sameOn("MongoDB, Milvus, Neo4j, PostgreSQL and Redis", ALL);
sameOn("MongoDB and Neo4j next to embedded stores", ["PARLEY_DOCUMENTS", "PARLEY_GRAPH"]);
sameOn("Milvus next to embedded stores", ["PARLEY_VECTORS"]);
sameAs("one PostgreSQL", PGVECTOR === undefined ? ["PARLEY_TEST_PGVECTOR"] : [], () => {
  const url = freshSchema(PGVECTOR!);
  return { env: { PARLEY_STORES: url.href }, drop: () => dropSchema(url) };
});
