import assert from "node:assert/strict";
import { ROOT } from "../fixtures/flow.ts";
import { freshServers, missingServers, type Setting } from "../fixtures/servers.ts";

const ALL: readonly Setting[] = [
  "PARLEY_DOCUMENTS",
  "PARLEY_VECTORS",
  "PARLEY_GRAPH",
  "PARLEY_ANALYTICS",
  "PARLEY_CACHE",
];
const missing = missingServers(ALL);

/** Stores that `/readyz` still calls down after some seconds: a server that has just started is slow at first. */
async function storesDown(url: string): Promise<string[]> {
  let down: string[] = [];
  for (let n = 0; n < 20; n++) {
    const { stores } = await (await fetch(`${url}/readyz`)).json();
    down = Object.entries<{ status: string }>(stores).flatMap(([name, { status }]) =>
      status === "up" ? [] : [name]
    );
    if (down.length === 0) break;
    await new Promise((resume) => setTimeout(resume, 500));
  }
  return down;
}

/** Pages, and files that one of them names, that do not come with 200. */
async function pagesBroken(url: string): Promise<string[]> {
  const headers = { accept: "text/html" };
  const html = await (await fetch(`${url}/`, { headers })).text();
  const assets = [...html.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map(([, path]) => path!);
  assert.ok(assets.length > 3);
  const pages = [
    "/",
    "/pipelines",
    "/pipelines/nightly",
    "/runs",
    "/data",
    "/anomalies",
    "/explain",
    "/stores",
  ];
  const asked = [...pages, "/engagement", "/data/quarantine", ...assets].map(async (path) => {
    const response = await fetch(url + path, { headers });
    await response.body?.cancel();
    return response.status === 200 ? [] : [`${path}: ${response.status}`];
  });
  return (await Promise.all(asked)).flat();
}

Deno.test({
  name: `serve on servers needs network and environment alone, and the OS release for Neo4j's driver${
    missing.length > 0 ? `: ${missing.join(", ")} not set` : ""
  }`,
  ignore: missing.length > 0,
  async fn() {
    const { env, drop } = freshServers(ALL);
    const permissions = ["--no-prompt", "--allow-net", "--allow-env", "--allow-sys=osRelease"];
    const child = new Deno.Command("deno", {
      args: ["run", "--quiet", ...permissions, `${ROOT}main.ts`, "serve"],
      env: { ...env, PARLEY_PORT: "0", NO_COLOR: "1" },
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    try {
      const said = (await reader.read()).value ?? "";
      const url = /http:\S+/.exec(said)?.[0];
      assert.ok(url !== undefined, `it said: ${said}`);
      assert.equal((await (await fetch(`${url}/healthz`)).json()).status, "up");
      assert.deepEqual(await storesDown(url), []);
      assert.deepEqual(await pagesBroken(url), []);
      assert.match(await (await fetch(`${url}/metrics`)).text(), /^parley_store_up\{store="graph"\} 1$/m);
      const asked = await fetch(`${url}/intents/classify`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: '{"texts":["late parcel"]}',
      });
      assert.deepEqual([asked.status, (await asked.json()).code], [503, "unavailable"]);
    } finally {
      child.kill("SIGTERM");
      await reader.cancel();
      await child.status;
      await drop();
    }
  },
});
