/** The API, the commands and `doctor` report the same state. */
import assert from "node:assert/strict";
import { acknowledgeAnomaly, showAnomalies } from "../commands/anomalies.ts";
import { builtInDags } from "../commands/engine.ts";
import { createRun } from "../lib/dag/runs.ts";
import { openServing } from "../commands/services.ts";
import { systemClock } from "../lib/core/clock.ts";
import { Recommender } from "../lib/recommend/recommender.ts";
import { WarmUp } from "../lib/recommend/warm_up.ts";
import { openGraph } from "../lib/stores/open.ts";
import { createApp } from "../routes/app.ts";
import { run, withFolder } from "./fixtures/commands.ts";
import { doctorReport } from "./fixtures/doctor.ts";
import { DAMAGE } from "./fixtures/index_damage.ts";
import { until } from "./fixtures/until.ts";
import { see } from "./routes/pages.ts";
import { type Flow, flowTemplate, loadSample } from "./fixtures/flow.ts";

const withSample = flowTemplate(loadSample);

interface Reports {
  readonly code: number;
  readonly open: readonly (readonly [severity: string, id: string])[];
}

/** What is open, by the API, and the stores that are down, by `/readyz` and by `/metrics`. */
async function byApi({ config }: Flow) {
  const { value: stores, close } = await openServing(config);
  try {
    const app = await createApp({
      stores,
      clock: systemClock,
      version: "test",
      keys: [],
      answer_ms: 30_000,
      log: null,
    });
    const { open } = await (await app.request("/pipeline/anomalies")).json();
    const { stores: states } = await (await app.request("/readyz")).json();
    const samples = await (await app.request("/metrics")).text();
    return {
      open: open.map((
        { severity, id }: { severity: string; id: string },
      ) => [severity, id]) as Reports["open"],
      unready: Object.keys(states).filter((store) => states[store].status === "down"),
      not_up: [...samples.matchAll(/^parley_store_up\{store="(\w+)"\} 0$/gm)].map(([, store]) => store),
    };
  } finally {
    await close();
  }
}

/** What is open, by `pipeline anomalies`, and its exit code. */
async function byCommand({ config }: Flow): Promise<Reports> {
  const printed: string[] = [];
  const { log } = console;
  console.log = (line: string) => printed.push(line);
  try {
    const code = await showAnomalies({ ...config, schedule: null }, { json: true });
    const { open } = JSON.parse(printed.join(""));
    return { code, open: open.map(({ severity, id }: { severity: string; id: string }) => [severity, id]) };
  } finally {
    console.log = log;
  }
}

const FAULTS: Record<string, readonly [fault: (folder: string) => Promise<void> | void, id: string]> = {
  "a missing analytics store": [
    (folder) => Deno.remove(`${folder}/analytics.db`),
    "store_unreachable:store_analytics",
  ],
  "a missing document store": [
    (folder) => Deno.remove(`${folder}/documents.db`),
    "store_unreachable:store_documents",
  ],
  "a damaged graph store": [
    (folder) => Deno.writeFile(`${folder}/graph.db`, new Uint8Array(8_192)),
    "store_unreachable:store_graph",
  ],
  "a wiped graph store": [
    async (folder) => {
      await Deno.remove(`${folder}/graph.db`);
      await (await openGraph(new URL(`sqlite:${folder}/graph.db`))).close();
    },
    "store_emptied:store_graph",
  ],
};

for (const [what, [fault, id]] of Object.entries(FAULTS)) {
  Deno.test(`${what} is one critical anomaly by API and command, down by readyz and metrics, and fails doctor`, () =>
    withSample(async (flow) => {
      await flow.services.graph.close();
      await flow.services.documents.close();
      await flow.services.analytics.close();
      for (const name of ["analytics", "documents", "graph"]) {
        for (const end of ["-wal", "-shm"]) {
          await Deno.remove(`${flow.config.data}/${name}.db${end}`).catch(() => {});
        }
      }
      await fault(flow.config.data);
      const ofStores = (open: Reports["open"]) => open.filter(([, each]) => each.startsWith("store_"));
      const api = await byApi(flow);
      const store = id.replace(/.*_/, "");
      assert.deepEqual([ofStores(api.open), api.unready, api.not_up], [[["critical", id]], [store], [store]]);
      const told = await byCommand(flow);
      assert.equal(told.code, 1);
      assert.deepEqual(ofStores(told.open), [["critical", id]]);
      assert.equal((await doctorReport(flow.config)).code, 1);
    }));
}

const INDEX_FAULTS: Record<string, string> = {
  missing: "The index profiles-1 is damaged: its file is missing",
  "flipped in the middle": "The index profiles-1 is damaged: its file has other bytes than were written",
};

for (const [kind, cause] of Object.entries(INDEX_FAULTS)) {
  Deno.test(`an index file that is ${kind} is one warning in the same words everywhere, until serving has rebuilt it`, () =>
    withSample(async (flow) => {
      const config = { ...flow.config, schedule: null };
      const byServing = async (body: (app: Awaited<ReturnType<typeof createApp>>) => Promise<void>) => {
        const { value: stores, close } = await openServing(config);
        const recommender = new Recommender({ stores, clock: systemClock });
        const { signal } = new AbortController();
        const dashboard = {
          dags: builtInDags(config),
          runs: flow.runs,
          closing: new AbortController().signal,
        };
        const dags = [...builtInDags(config).values()];
        try {
          await new WarmUp({ stores, recommender, clock: systemClock, signal }).run();
          await body(
            await createApp({
              stores,
              recommender,
              clock: systemClock,
              version: "test",
              keys: [],
              log: null,
              dags,
              dashboard,
            }),
          );
        } finally {
          await close();
        }
      };
      const user = await someUser(flow);
      const get = async (app: Awaited<ReturnType<typeof createApp>>, path: string) =>
        await (await app.request(path)).json();
      const degradedOf = async (app: Awaited<ReturnType<typeof createApp>>) =>
        (await get(app, `/recommendations/${user}?k=3`)).degraded;
      const vectorsOf = async (app: Awaited<ReturnType<typeof createApp>>) =>
        (await get(app, "/readyz")).stores.vectors;
      const ofStores = (open: { severity: string; id: string; text: string; subject: { kind: string } }[]) =>
        open.filter(({ subject }) => subject.kind === "store");
      const openOf = async (app: Awaited<ReturnType<typeof createApp>>) =>
        ofStores((await get(app, "/pipeline/anomalies")).open);
      await byServing(async (app) => {
        assert.deepEqual(await degradedOf(app), []);
        assert.deepEqual([(await vectorsOf(app)).warning, await openOf(app)], [null, []]);
        DAMAGE[kind]!(indexFile(flow.config.data, "profiles-1"), "");
        const open = await openOf(app);
        const { severity, id, text } = open[0]!;
        assert.deepEqual([severity, id, open.length], ["warning", "damaged_index:store_vectors", 1]);
        assert.ok(text.startsWith(`${cause}; an API builds it again when it next starts, and `), text);
        const { health } = await get(app, "/pipeline/anomalies");
        assert.deepEqual([health.status, health.cause], ["warning", cause]);
        const { status, warning } = await vectorsOf(app);
        assert.deepEqual([status, warning], ["up", text]);
        assert.ok((await see(app, "/")).html.includes(cause));
        assert.deepEqual(await degradedOf(app), [], "answers come from what was opened before");
        const told = await byCommand(flow);
        assert.equal(told.code, 0);
        assert.deepEqual(told.open.filter(([, each]) => each.includes(":store_")), [["warning", id]]);
        const report = await doctorReport(flow.config);
        const findings = report.findings.map((each: Record<string, unknown>) => [each.severity, each.text]);
        assert.deepEqual([report.code, findings], [0, [["warning", text]]]);
      });
      await byServing(async (app) => {
        await until(async () => {
          const { status, warning } = await vectorsOf(app);
          return status === "up" && warning === null;
        });
        assert.deepEqual(await openOf(app), []);
      });
      assert.deepEqual((await doctorReport(flow.config)).findings, []);
    }));
}

/** A user who has a profile. */
async function someUser({ services: { documents } }: Flow): Promise<string> {
  return (await documents.page({ after: null, limit: 1 }))[0]!.user_id;
}

/** The file of an index by its collection and version. */
function indexFile(data: string, index: string): string {
  const folders = [...Deno.readDirSync(`${data}/vectors`)].filter(({ isDirectory }) => isDirectory);
  const paths = folders.flatMap(({ name: folder }) =>
    [...Deno.readDirSync(`${data}/vectors/${folder}`)].filter(({ name }) => name.startsWith(`${index}.`))
      .map(({ name }) => `${data}/vectors/${folder}/${name}`)
  );
  assert.equal(paths.length, 1);
  return paths[0]!;
}

Deno.test("commands that only read leave no store behind, and one after the other finds nothing wrong", () =>
  withFolder(async (folder) => {
    const env = { PARLEY_SCHEDULE: "off" };
    for (
      const args of [
        ["pipeline", "runs"],
        ["pipeline", "quarantine"],
        ["pipeline", "summary"],
        ["pipeline", "anomalies"],
        ["doctor"],
      ]
    ) {
      const { code, stderr } = await run(folder, args[0]!, args, { env });
      assert.deepEqual([code, stderr], [0, ""], args.join(" "));
    }
    const left = [...Deno.readDirSync(`${folder}/.parley`)].map(({ name }) => name);
    assert.deepEqual(left.filter((name) => !/^(runs\.db|artifacts)/.test(name)), []);
  }));

Deno.test("a store that does not answer is acknowledged for doctor as for the command, also if it begins again, which the command says", () =>
  withSample(async (flow) => {
    const config = { ...flow.config, schedule: null, graph: new URL("bolt://127.0.0.1:1") };
    const down = { ...flow, config };
    const id = "store_unreachable:store_graph";
    const judged = async () => [
      (await byCommand(down)).code,
      (await doctorReport(config, { PARLEY_GRAPH: "bolt://127.0.0.1:1" })).code,
    ];
    assert.deepEqual(await judged(), [1, 1]);
    const said: string[] = [];
    const { log } = console;
    console.log = (line: string) => said.push(line);
    await acknowledgeAnomaly(config, id, { json: false, until: "8h", by: "Ann" }).finally(() =>
      console.log = log
    );
    assert.match(
      said.join(""),
      /^store_unreachable:store_graph is acknowledged by Ann until \S+, also if it is over and begins again$/,
    );
    assert.deepEqual(await judged(), [0, 0]);
  }));

Deno.test("stores that a run is filling are not compared: neither the command nor doctor take it for a fault", () =>
  withSample(async (flow) => {
    const { runs, services: { documents }, config } = flow;
    const [stored] = await documents.page({ after: null, limit: 1 });
    const run_id = "at-work";
    await createRun({
      dag: builtInDags(config).get("nightly")!,
      runs,
      clock: systemClock,
      params: {},
      run_id,
    });
    await runs.claim({
      owner: "another",
      now: Date.now(),
      ttl_ms: 60_000,
      max_active: { nightly: 1 },
      run_id,
    });
    await documents.upsert({ messages: [{ ...stored!, message_id: "without-vector" }] });
    assert.deepEqual([(await byCommand(flow)).code, (await doctorReport(config)).code], [0, 0]);
    const { findings } = await doctorReport(config);
    assert.deepEqual(findings.map(({ code }: { code: string }) => code), ["run_in_progress"]);
  }));
