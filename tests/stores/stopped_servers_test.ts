/** A server of the test's own that is stopped under load and started again, as an administrator does. */
import assert from "node:assert/strict";
import { withAsker } from "../fixtures/faults.ts";
import { nightlyRun, ROOT, SAMPLE, withFlow } from "../fixtures/flow.ts";
import { until } from "../fixtures/until.ts";

/** Where the scripts are that start servers without containers. */
const SCRIPTS = Deno.env.get("SERVERS") ?? `${ROOT}../shared/servers`;

/** By setting: the script's name, and what an answer shows while the server is away. */
const STOPPED = {
  PARLEY_ANALYTICS: { name: "postgres", away: { degraded: ["analytics"], cache: "bypass" } },
  PARLEY_CACHE: { name: "redis", away: { degraded: [], cache: "bypass" } },
} as const;

for (const [setting, { name, away }] of Object.entries(STOPPED)) {
  const ignore = !isThere(`${SCRIPTS}/${name}.sh`);
  Deno.test({
    name: `answers go on while ${name} is stopped, and are whole again once it is started${
      ignore ? `: SERVERS names no folder with ${name}.sh` : ""
    }`,
    ignore,
    async fn() {
      const port = freePort();
      const script = (verb: string) => run(`${name}.sh`, verb, { [`${name.toUpperCase()}_PORT`]: `${port}` });
      try {
        const url = await script("start");
        await withFlow(async (flow) => {
          assert.equal((await nightlyRun(flow, SAMPLE)).outcome, "success");
          await withAsker({ config: flow.config, answer_ms: 1_000 }, async (asker) => {
            const load = keepAsking(asker);
            await script("stop");
            await until(async () => {
              const { ms: _ms, ...shown } = await asker.ask();
              return JSON.stringify(shown) === JSON.stringify(away);
            });
            await script("start");
            await asker.untilWhole();
            const again = asker.next();
            await until(async () => (await asker.ask(again)).cache === "hit");
            assert.ok(await load.stop() > 0);
          });
        }, { [setting]: url });
      } finally {
        await script("wipe");
      }
    },
  });
}

/** Asks new questions one after another, each of which must be answered, until it is stopped; returns how many. */
function keepAsking(asker: { ask(): Promise<unknown> }): { stop(): Promise<number> } {
  let stopped = false;
  const asking = (async () => {
    let asked = 0;
    for (; !stopped; asked++) {
      await asker.ask();
      await new Promise((resume) => setTimeout(resume, 20));
    }
    return asked;
  })();
  return {
    stop() {
      stopped = true;
      return asking;
    },
  };
}

/** Runs a script and returns the last line it prints. Its server must not hold a pipe open. */
async function run(script: string, verb: string, env: Record<string, string>): Promise<string> {
  const out = await Deno.makeTempFile();
  try {
    const { success } = await new Deno.Command("bash", {
      args: ["-c", 'bash "$0" "$1" >"$2"', `${SCRIPTS}/${script}`, verb, out],
      env,
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).output();
    assert.ok(success, `${script} ${verb} failed`);
    return (await Deno.readTextFile(out)).trim().split("\n").at(-1)!;
  } finally {
    await Deno.remove(out);
  }
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return (listener.addr as Deno.NetAddr).port;
}

function isThere(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
