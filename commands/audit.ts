import type { Config } from "../lib/config.ts";
import type { AuditEntry } from "../lib/stores/runs/port.ts";
import { EXIT } from "./exit.ts";
import { withRuns } from "./inspect.ts";
import { table } from "./table.ts";

/** Prints the newest entries of the audit log, the newest last. */
export function showAudit(config: Config, options: { limit: number; json: boolean }): Promise<number> {
  return withRuns(config, async (runs) => {
    const entries = (await runs.auditEntries(options)).reverse().map(({ seq: _, ...entry }) => entry);
    if (options.json) console.log(JSON.stringify(entries));
    else if (entries.length === 0) console.log("nothing was written or administered over HTTP yet");
    else console.log(table(HEAD, entries.map(rowOf), HEAD.length).join("\n"));
    return EXIT.ok;
  });
}

const HEAD = ["at", "by", "request", "status", "about"];

function rowOf({ at, by, method, route, status, user_hash, facts }: AuditEntry): string[] {
  const about = Object.entries({ ...user_hash !== null && { user: user_hash }, ...facts })
    .map(([name, value]) => `${name}=${Array.isArray(value) ? value.join(",") : value}`);
  return [at, by, `${method} ${route}`, `${status}`, about.join(" ")];
}
