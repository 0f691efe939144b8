import { moveOneByOne } from "../fixtures/move.ts";
import { freshServers, missingServers } from "../fixtures/servers.ts";

const SETTINGS = ["PARLEY_GRAPH", "PARLEY_VECTORS", "PARLEY_DOCUMENTS", "PARLEY_ANALYTICS"] as const;
const missing = missingServers(SETTINGS);

Deno.test({
  name: `one store after the other moves to a server, and the next run fills it${
    missing.length > 0 ? `: ${missing.join(", ")} not set` : ""
  }`,
  ignore: missing.length > 0,
  async fn() {
    const { env, drop } = freshServers(SETTINGS);
    const folder = await Deno.makeTempDir({ prefix: "parley-move-" });
    try {
      await moveOneByOne(folder, env);
    } finally {
      await drop();
      await Deno.remove(folder, { recursive: true });
    }
  },
});
