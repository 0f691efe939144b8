import type { Config } from "../lib/config.ts";
import { systemClock } from "../lib/core/clock.ts";
import { counted } from "../lib/core/text.ts";
import { applyTombstones } from "../lib/privacy/apply_tombstones.ts";
import { eraseUsers, pendingErasures } from "../lib/privacy/erase_users.ts";
import type { ErasingStores } from "../lib/privacy/stores.ts";
import { parseId } from "../lib/schema/ids.ts";
import { openCache } from "../lib/stores/open.ts";
import { EXIT, warn } from "./exit.ts";
import { runQueued } from "./run.ts";
import { openAll, openServices } from "./services.ts";

/** Erases these users, and all whose erasure is pending, and waits until no copy remains. Returns the exit code of the run. */
export async function eraseUser(
  config: Config,
  ids: readonly string[],
  { json }: { json: boolean },
): Promise<number> {
  const user_ids = [...new Set(ids.map((id) => parseId("the id", id)))];
  const pending = await withStores(config, async (stores) => {
    const { users, lacking } = await applyTombstones({ stores, clock: systemClock, log: warn });
    if (lacking.length > 0) {
      warn(`${lacking.join(", ")} lacked tombstones: ${counted(users, "user")} erased again`);
    }
    if (user_ids.length > 0) {
      const erased = await eraseUsers({ stores, clock: systemClock, user_ids, log: warn });
      const rows = Object.entries(erased).map(([name, count]) => `${count} ${name}`).join(", ");
      if (!json) console.log(`${counted(user_ids.length, "user")} erased: ${rows}; copies follow.`);
    }
    return (await pendingErasures(stores.analytics)).length;
  });
  if (pending === 0) {
    console.log("No erasure is pending.");
    return EXIT.ok;
  }
  return await runQueued(config, "erase", { json });
}

async function withStores<T>(config: Config, body: (stores: ErasingStores) => Promise<T>): Promise<T> {
  await using opened = await openServices(config);
  await using others = await openAll({ cache: () => openCache(config.cache) });
  return await body({ ...opened.value, ...others.value });
}
