import { type Command, InvalidArgumentError } from "../deps.ts";
import { loaded, type Verb } from "./pipeline.ts";

const data = () => import("./user_data.ts");

/** `parley user …`: what one person may ask for. */
export function addUser(parley: Command, verb: Verb): void {
  const user = parley.command("user").description("what is stored about a user, and the user's rights");
  user.command("show <id>").description(
    "print everything that is stored about a user, as one JSON object per line",
  )
    .action(verb(loaded(data, "showUser")));
  user.command("erase [id...]").description(
    "erase users from all stores and files; without an id, complete erasures, and repeat them in restored stores",
  )
    .option("--json", "print the summary as one JSON object", false)
    .action(verb(loaded(data, "eraseUser")));
  user.command("preferences <id>").description("set whether a user wants personalisation")
    .requiredOption("--personalisation <on|off>", "off: popular answers, and nothing is derived", onOff)
    .action(verb(loaded(data, "changePreferences")));
  user.command("allow <id>").description("take rows of an erased user again, who has come back")
    .action(verb(loaded(data, "allow")));
}

function onOff(text: string): boolean {
  if (text === "on") return true;
  if (text === "off") return false;
  throw new InvalidArgumentError("it must be on or off");
}
