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
    const { quarantined } = await documents.counts();
    if (o.json) {
      print(
        JSON.stringify({ quarantined, rows: rows.map(({ raw, ...row }) => o.raw ? { ...row, raw } : row) }),
      );
      return EXIT.ok;
    }
    for (const { raw, source, position, reason } of rows) {
      print(`${source}:${position}  ${reason}${o.raw ? `\n    ${raw}` : ""}`);
    }
    console.log(`${rows.length} of ${quarantined} rows in quarantine`);
    return EXIT.ok;
  } finally {
    await close();
  }
}

function printPrivately(line: string): void {
  let bytes = new TextEncoder().encode(`${line}\n`);
  while (bytes.length > 0) bytes = bytes.subarray(Deno.stdout.writeSync(bytes));
}
