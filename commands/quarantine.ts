import type { Config } from "../lib/config.ts";
import { openDocuments } from "../lib/stores/open.ts";
import { EXIT } from "./exit.ts";
import { openAll, openOptions } from "./services.ts";

/** Lists refused rows with their reasons; their text only where asked for. */
export async function listQuarantine(
  config: Config,
  o: { run?: string; limit: number; raw: boolean; json: boolean },
): Promise<number> {
  const { value: { documents }, close } = await openAll({
    documents: () => openDocuments(config.documents, openOptions(config)),
  });
  try {
    const of = o.run === undefined ? {} : { run_id: o.run };
    const rows = await documents.quarantined({ ...of, limit: o.limit, offset: 0 });
    // Deno sends what goes through the console to OpenTelemetry too, and these rows are personal.
    const print = o.raw ? printPrivately : console.log;
    for (const { raw, ...row } of rows) {
      const line = `${row.source}:${row.position}  ${row.reason}${o.raw ? `\n    ${raw}` : ""}`;
      print(o.json ? JSON.stringify(o.raw ? { ...row, raw } : row) : line);
    }
    if (!o.json) {
      console.log(`${rows.length} of ${(await documents.counts()).quarantined} rows in quarantine`);
    }
    return EXIT.ok;
  } finally {
    await close();
  }
}

function printPrivately(line: string): void {
  let bytes = new TextEncoder().encode(`${line}\n`);
  while (bytes.length > 0) bytes = bytes.subarray(Deno.stdout.writeSync(bytes));
}
