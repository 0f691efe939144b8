import type { Config } from "../lib/config.ts";
import { systemClock } from "../lib/core/clock.ts";
import { counted } from "../lib/core/text.ts";
import { applyTombstones } from "../lib/privacy/apply_tombstones.ts";
import { eraseUsers, pendingErasures } from "../lib/privacy/erase_users.ts";
import { parseId } from "../lib/schema/ids.ts";
import { openCache } from "../lib/stores/open.ts";
import type { Services } from "../tasks/services.ts";
import { EXIT } from "./exit.ts";
import { runDag } from "./run.ts";
import { openServices } from "./services.ts";

/** Erases these users, and all whose erasure is pending, and waits until no copy remains. Returns the exit code of the run. */
export async function eraseUser(
  config: Config,
  ids: readonly string[],
  { json }: { json: boolean },
): Promise<number> {
  const user_ids = [...new Set(ids.map((id) => parseId("the id", id)))];
  const pending = await withErasing(config, async ({ services, cache }) => {
    const stores = { ...services, cache };
    await reapplyTombstones({ services, cache });
    if (user_ids.length > 0) {
      const erased = await eraseUsers({ stores, clock: systemClock, user_ids, log: warn });
      const rows = Object.entries(erased).map(([name, count]) => `${count} ${name}`).join(", ");
      if (!json) console.log(`${counted(user_ids.length, "user")} erased: ${rows}; copies follow.`);
    }
    return (await pendingErasures(services.analytics)).length;
  });
  if (pending === 0) {
    console.log("No erasure is pending.");
    return EXIT.ok;
  }
  return await completeErasures(config, { json });
}

/** Runs the dag that completes erasures. */
function completeErasures(config: Config, { json }: { json: boolean }): Promise<number> {
  const nothing = { messages: [], campaigns: [], events: [], param: [], commands: [] };
  return runDag(config, { dag: "erase", all: false, dryRun: false, json, ...nothing });
}

type Erasing = {
  readonly services: Pick<Services, "documents" | "analytics" | "graph" | "vectors">;
  readonly cache: Awaited<ReturnType<typeof openCache>>;
};

/**
 * Erases users of whom a store has rows although another has their tombstones, as after a store was restored alone. Reports what it
 * did on stderr, and tombstones that cannot be applied.
 */
async function reapplyTombstones({ services, cache }: Erasing): Promise<void> {
  const stores = { ...services, cache };
  const { users, lacking, foreign } = await applyTombstones({ stores, clock: systemClock, log: warn });
  if (lacking.length > 0) {
    warn(
      `${lacking.join(", ")} lacked tombstones, as after a restore: ${counted(users, "user")} erased again`,
    );
  }
  if (foreign > 0) {
    warn(
      `${
        counted(foreign, "tombstone")
      } cannot be applied, since analytics has another secret than when they were made: restore ` +
        "analytics from the same time, or erase those users again",
    );
  }
}

async function withErasing<T>(config: Config, body: (erasing: Erasing) => Promise<T>): Promise<T> {
  const { value: services, close } = await openServices(config);
  try {
    const cache = await openCache(config.cache);
    try {
      return await body({ services, cache });
    } finally {
      await cache.close();
    }
  } finally {
    await close();
  }
}

function warn(line: string): void {
  console.error(`parley: ${line}`);
}
