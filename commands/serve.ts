import type { Config } from "../lib/config.ts";
import { systemClock } from "../lib/core/clock.ts";
import { ParleyError } from "../lib/core/errors.ts";
import { createApp } from "../routes/app.ts";
import { shutdownSignal } from "./exit.ts";
import { type Opened, openServing } from "./services.ts";
import { VERSION } from "./version.ts";

/** A running API. `url` is where it listens. */
export interface Serving {
  readonly url: string;
}

/** Opens the stores and listens. Closing lets requests under way finish. */
export async function listen(config: Config): Promise<Opened<Serving>> {
  const stores = await openServing(config);
  try {
    const log = (entry: object) => console.error(JSON.stringify({ at: new Date().toISOString(), ...entry }));
    const app = await createApp({
      stores: stores.value,
      clock: systemClock,
      version: VERSION,
      keys: config.keys,
      log: Deno.stderr.isTerminal() ? null : log,
    });
    const server = Deno.serve({ hostname: config.host, port: config.port, onListen: () => {} }, app.fetch);
    const { hostname, port } = server.addr as Deno.NetAddr;
    const close = async () => {
      await server.shutdown();
      await stores.close();
    };
    return { value: { url: `http://${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}` }, close };
  } catch (error) {
    await stores.close();
    if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    throw new ParleyError(
      "unavailable",
      `port ${config.port} is in use: stop what uses it, or set PARLEY_PORT`,
    );
  }
}

/** The API alone, until SIGINT or SIGTERM. */
export async function serve(config: Config): Promise<number> {
  const shutdown = shutdownSignal();
  const api = await listen(config);
  console.log(`Parley answers at ${api.value.url}`);
  await aborted(shutdown.signal);
  await api.close();
  shutdown.dispose();
  return 0;
}

export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
