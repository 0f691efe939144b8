import type { Config } from "../lib/config.ts";
import { type Preferences, setPreferences } from "../lib/privacy/preferences.ts";
import { parseId } from "../lib/schema/ids.ts";
import { EXIT, warn } from "./exit.ts";
import { openServices } from "./services.ts";

/** Sets whether a user wants personalisation. */
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
