import type { Config } from "../lib/config.ts";
import { remedyOf } from "../lib/schema/remedies.ts";
import { openDocuments } from "../lib/stores/open.ts";
import { EXIT } from "./exit.ts";
import { snapshotOf, withRuns } from "./inspect.ts";
import { openAll, readOptions } from "./services.ts";

/** Lists refused rows, with their text only if `raw` asks for it, and how many there are of each reason with what to do. */
export async function listQuarantine(
  config: Config,
  options: { run?: string; limit: number; raw: boolean; json: boolean },
): Promise<number> {
  const stored = await readOptions(config);
  await using opened = await openAll({ documents: () => openDocuments(config.documents, stored) });
  const { documents } = opened.value;
  const filter = { ...options.run === undefined ? {} : { run_id: options.run }, limit: options.limit };
  const rows = await documents.quarantined({ ...filter, offset: 0 });
  const reasons = (await documents.quarantineReasons(filter))
    .map((counted) => ({ ...counted, remedy: remedyOf(counted.reason) }));
  const { run } = options;
  // The rows of a run outlive its record, which may be gone.
  if (run !== undefined && rows.length === 0) await withRuns(config, (runs) => snapshotOf(runs, run));
  // Deno sends what goes through the console to OpenTelemetry too, and these rows are personal.
  const print = options.raw ? printPrivately : console.log;
  const { quarantined } = await documents.counts();
  if (options.json) {
    const shown = rows.map(({ raw, ...row }) => options.raw ? { ...row, raw } : row);
    print(JSON.stringify({ quarantined, reasons, rows: shown }));
    return EXIT.ok;
  }
  for (const { raw, source, position, reason } of rows) {
    print(`${source}:${position}  ${reason}${options.raw ? `\n    ${raw}` : ""}`);
  }
  console.log(`${rows.length} of ${quarantined} rows in quarantine`);
  for (const { rows, kind, reason, remedy } of reasons) {
    console.log(`\n${rows} × ${kind}: ${reason}\n    ${remedy}`);
  }
  return EXIT.ok;
}

function printPrivately(line: string): void {
  let bytes = new TextEncoder().encode(`${line}\n`);
  while (bytes.length > 0) bytes = bytes.subarray(Deno.stdout.writeSync(bytes));
}
