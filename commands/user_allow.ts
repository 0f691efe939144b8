import type { Config } from "../lib/config.ts";
import { allowUser } from "../lib/privacy/allow_user.ts";
import { parseId } from "../lib/schema/ids.ts";
import { EXIT, warn } from "./exit.ts";
import { openServices } from "./services.ts";

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
