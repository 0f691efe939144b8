import type { Config } from "../lib/config.ts";
import { readUser } from "../lib/privacy/read_user.ts";
import { parseId } from "../lib/schema/ids.ts";
import { EXIT } from "./exit.ts";
import { openServices } from "./services.ts";

/** Prints everything that is stored about a user, as NDJSON. */
export async function showUser(config: Config, id: string): Promise<number> {
  const user_id = parseId("the id", id);
  const { value: services, close } = await openServices(config);
  try {
    for await (const record of readUser({ stores: services, user_id })) console.log(JSON.stringify(record));
  } finally {
    await close();
  }
  return EXIT.ok;
}
