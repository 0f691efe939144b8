import assert from "node:assert/strict";
import { ESCAPED, MARK, MarkedFolder, SHOWN } from "../fixtures/secrets.ts";
import { missingServers, ON_POSTGRES } from "../fixtures/servers.ts";

const SETTINGS = ["PARLEY_DOCUMENTS", "PARLEY_GRAPH", "PARLEY_ANALYTICS", "PARLEY_CACHE"] as const;
const missing = missingServers(SETTINGS, ON_POSTGRES);

/** The URL of a server with a login that it refuses. */
function refused(setting: typeof SETTINGS[number], password: string): string {
  const url = new URL(Deno.env.get(ON_POSTGRES[setting])!);
  url.password = password;
  return url.href;
}

Deno.test({
  name: `the error of a server that refuses a password does not contain it${
    missing.length > 0 ? `: ${missing.join(", ")} not set` : ""
  }`,
  ignore: missing.length > 0,
  async fn() {
    for (const password of [MARK, ESCAPED]) {
      const env = Object.fromEntries(SETTINGS.map((setting) => [setting, refused(setting, password)]));
      await MarkedFolder.open(env, async (folder) => {
        assert.equal(await folder.run("doctor"), 1);
        const refusals = folder.output.get("doctor")!.match(/refuses the user or the password/g);
        assert.ok(refusals !== null && refusals.length >= 3, folder.output.get("doctor"));
        assert.match(folder.output.get("doctor")!, /refused the password/);
        await folder.run("pipeline", "--messages", "messages.ndjson");
        await folder.serve(SHOWN);
        assert.deepEqual(folder.leaks(), []);
      });
    }
  },
});
