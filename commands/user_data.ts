import type { Config } from "../lib/config.ts";
import { systemClock } from "../lib/core/clock.ts";
import { counted } from "../lib/core/text.ts";
import { allowUser } from "../lib/privacy/allow_user.ts";
import { applyTombstones } from "../lib/privacy/apply_tombstones.ts";
import { eraseUsers, pendingErasures } from "../lib/privacy/erase_users.ts";
import { type Preferences, setPreferences } from "../lib/privacy/preferences.ts";
import { readUser } from "../lib/privacy/read_user.ts";
import type { ErasingStores } from "../lib/privacy/stores.ts";
import { parseId } from "../lib/schema/ids.ts";
import { openCache } from "../lib/stores/open.ts";
import { EXIT, warn } from "./exit.ts";
import { runQueued } from "./run.ts";
import { openAll, openServices } from "./services.ts";

/** Prints everything that is stored about a user, as NDJSON. */
export async function showUser(config: Config, id: string): Promise<number> {
  const user_id = parseId("the id", id);
  await using opened = await openServices(config);
  for await (const record of readUser({ stores: opened.value, user_id })) console.log(JSON.stringify(record));
  return EXIT.ok;
}

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

export async function changePreferences(
  config: Config,
  id: string,
  preferences: Preferences,
): Promise<number> {
  const user_id = parseId("the id", id);
  await using opened = await openServices(config);
  await setPreferences({ stores: opened.value, user_id, preferences, log: warn });
  console.log(
    preferences.personalisation
      ? "Personalisation is on: the next write or nightly run derives the user."
      : "Personalisation is off: the user gets popular answers, and counts for no other user.",
  );
  return EXIT.ok;
}

/** Lifts the tombstones of a user who has come back. */
export async function allow(config: Config, id: string): Promise<number> {
  const user_id = parseId("the id", id);
  await using opened = await openServices(config);
  const erased = await allowUser({ stores: opened.value, user_id, log: warn });
  console.log(
    erased
      ? "Rows of this user are taken again; sources that were read before stay read."
      : "This user is not erased.",
  );
  return EXIT.ok;
}
