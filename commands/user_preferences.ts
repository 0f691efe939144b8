import type { Config } from "../lib/config.ts";
import { type Preferences, setPreferences } from "../lib/privacy/preferences.ts";
import { parseId } from "../lib/schema/ids.ts";
import { EXIT } from "./exit.ts";
import { openServices } from "./services.ts";

/** Sets whether a user wants personalisation. */
export async function changePreferences(
  config: Config,
  id: string,
  preferences: Preferences,
): Promise<number> {
  const user_id = parseId("the id", id);
  const { value: services, close } = await openServices(config);
  try {
    const log = (line: string) => console.error(`parley: ${line}`);
    await setPreferences({ stores: services, user_id, preferences, log });
  } finally {
    await close();
  }
  console.log(
    preferences.personalisation
      ? "Personalisation is on: the next write or nightly run derives the user."
      : "Personalisation is off: the user gets popular answers, and counts for no other user.",
  );
  return EXIT.ok;
}
