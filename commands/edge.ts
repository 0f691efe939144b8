import { type Config, loadConfig } from "../lib/config.ts";
import { withTimeout } from "../lib/core/abort.ts";
import { ParleyError } from "../lib/core/errors.ts";
import { openApi } from "./serve.ts";
import { refuseTestEmbedder } from "./services.ts";
import { surviveUncaught } from "./uncaught.ts";

/** A platform sends requests without asking `/readyz`, so first answers are whole at the cost of this wait, in milliseconds. */
const MAX_WARM_UP_MS = 5_000;

/** The API as `deno serve` and Deno Deploy start it: they listen, on an address of theirs, so it needs keys. */
export async function edgeApi(
  environment: Record<string, string | undefined>,
): Promise<Deno.ServeDefaultExport> {
  const config = loadConfig({ ...environment, PARLEY_HOST: "0.0.0.0" });
  refuseEmbedded(config);
  refuseTestEmbedder(config);
  surviveUncaught(config);
  const { value: { fetch, ready } } = await openApi(config);
  await withTimeout(MAX_WARM_UP_MS, () => ready).catch(() => {});
  return { fetch: (request, info) => fetch(request, info as Deno.ServeHandlerInfo<Deno.NetAddr>) };
}

/** An edge has no disk of its own. */
function refuseEmbedded(config: Config): void {
  const names = ["documents", "vectors", "graph", "analytics", "runs"] as const;
  const embedded = names.filter((name) => config[name].protocol === "sqlite:");
  if (embedded.length === 0) return;
  throw new ParleyError(
    "invalid",
    `${
      embedded.join(", ")
    } would be files, which an edge does not have: set PARLEY_STORES, or each store's URL`,
  );
}
