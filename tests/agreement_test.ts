/** What Parley says of its state: the API, the commands and `doctor` say the same. */
import assert from "node:assert/strict";
import { acknowledgeAnomaly, showAnomalies } from "../commands/quality.ts";
import { allDags } from "../commands/engine.ts";
import { createRun } from "../lib/dag/runs.ts";
import { openServing } from "../commands/services.ts";
import { systemClock } from "../lib/core/clock.ts";
import { openGraph } from "../lib/stores/open.ts";
import { createApp } from "../routes/app.ts";
import { run, withFolder } from "./fixtures/commands.ts";
import { doctorReport } from "./fixtures/doctor.ts";
import { type Flow, nightlyRun, SAMPLE, withFlow } from "./fixtures/flow.ts";

interface Told {
  readonly code: number;
  readonly open: readonly (readonly [severity: string, id: string])[];
}

/** What is open, by the API, and the stores that are down, by `/readyz` and by `/metrics`. */
async function byApi({ config }: Flow) {
  const { value: stores, close } = await openServing(config);
  try {
    const app = await createApp({ stores, clock: systemClock, version: "test", keys: [], log: null });
    const { open } = await (await app.request("/pipeline/anomalies")).json();
    const { stores: states } = await (await app.request("/readyz")).json();
    const samples = await (await app.request("/metrics")).text();
    return {
      open: open.map(({ severity, id }: { severity: string; id: string }) => [severity, id]) as Told["open"],
      unready: Object.keys(states).filter((store) => states[store].status === "down"),
      not_up: [...samples.matchAll(/^parley_store_up\{store="(\w+)"\} 0$/gm)].map(([, store]) => store),
    };
  } finally {
    await close();
  }
}

/** What is open, by `pipeline anomalies`, and its exit code. */
async function byCommand({ config }: Flow): Promise<Told> {
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
    withFlow(async (flow) => {
      assert.equal((await nightlyRun(flow, SAMPLE)).outcome, "success");
      await flow.services.graph.close();
      await flow.services.documents.close();
      await flow.services.analytics.close();
      for (const name of ["analytics", "documents", "graph"]) {
        for (const end of ["-wal", "-shm"]) {
          await Deno.remove(`${flow.config.data}/${name}.db${end}`).catch(() => {});
        }
      }
      await fault(flow.config.data);
      const ofStores = (open: Told["open"]) => open.filter(([, each]) => each.startsWith("store_"));
      const api = await byApi(flow);
      const store = id.replace(/.*_/, "");
      assert.deepEqual([ofStores(api.open), api.unready, api.not_up], [[["critical", id]], [store], [store]]);
      const told = await byCommand(flow);
      assert.equal(told.code, 1);
      assert.deepEqual(ofStores(told.open), [["critical", id]]);
      assert.equal((await doctorReport(flow.config)).code, 1);
    }));
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
  withFlow(async (flow) => {
    assert.equal((await nightlyRun(flow, SAMPLE)).outcome, "success");
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
  withFlow(async (flow) => {
    assert.equal((await nightlyRun(flow, SAMPLE)).outcome, "success");
    const { runs, services: { documents }, config } = flow;
    const [stored] = await documents.page({ after: null, limit: 1 });
    const run_id = "at-work";
    await createRun({ dag: allDags(config).get("nightly")!, runs, clock: systemClock, params: {}, run_id });
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
