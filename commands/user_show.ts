import type { Config } from "../lib/config.ts";
import { readUser } from "../lib/privacy/read_user.ts";
import { parseId } from "../lib/schema/ids.ts";
import { EXIT } from "./exit.ts";
import { openServices } from "./services.ts";

/** Prints everything that is stored about a user, as NDJSON. */
export async function showUser(config: Config, id: string): Promise<number> {
  const user_id = parseId("the id", id);
  await using opened = await openServices(config);
  for await (const record of readUser({ stores: opened.value, user_id })) console.log(JSON.stringify(record));
  return EXIT.ok;
}
