/**
 * How fast rows go through ingest and validate, and in how much memory: the ReDial slice once, and ten copies of it
 * with fresh ids. Each size runs in a process of its own, and peak memory is the kernel's (Linux).
 *
 *     deno run --allow-all tests/bench/ingest.ts
 */
import type { JsonObject, Kind } from "../../lib/core/types.ts";
import { KINDS } from "../../lib/core/types.ts";
import { ingest } from "../../tasks/steps/ingest.ts";
import { validate } from "../../tasks/steps/validate.ts";
import { contextOf, withInputStores } from "../fixtures/context.ts";

const DATA = new URL("../../../shared/data/redial_dev/", import.meta.url).pathname;
const IDS = ["message_id", "conversation_id", "user_id", "campaign_id"];

if (Deno.args[0] === undefined) await compare();
else await measure(JSON.parse(Deno.args[0]));

/** One copy and ten, each in a fresh process. */
async function compare(): Promise<void> {
  const dir = await Deno.makeTempDir();
  const peaks: number[] = [];
  try {
    for (const copies of [1, 10]) {
      const args = [
        "run",
        "--no-check",
        "--quiet",
        "--allow-all",
        import.meta.url,
        JSON.stringify(copy(dir, copies)),
      ];
      const { stdout, success } = await new Deno.Command(Deno.execPath(), { args, stderr: "inherit" })
        .output();
      if (!success) Deno.exit(1);
      const { rows, ingest_s, validate_s, peak_mb } = JSON.parse(new TextDecoder().decode(stdout));
      const rate = (seconds: number) => `${Math.round(rows / seconds).toLocaleString("en")} rows/s`;
      console.log(
        `${copies} × ${rows / copies} rows: ingest ${rate(ingest_s)}, validate ${rate(validate_s)}, ` +
          `both ${rate(ingest_s + validate_s)}, peak ${peak_mb} MB`,
      );
      peaks.push(peak_mb);
    }
    console.log(`peak memory of ten copies: ${(peaks[1]! / peaks[0]!).toFixed(2)} × one copy's`);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** Writes the slice so many times, each copy with ids of its own, and returns the paths. */
function copy(dir: string, copies: number): Record<Kind, string[]> {
  const paths = { messages: [], campaigns: [], events: [] } as Record<Kind, string[]>;
  for (const kind of KINDS) {
    const path = `${dir}/${kind}-${copies}.ndjson`;
    const rows = Deno.readTextFileSync(`${DATA}${kind}.jsonl`).trimEnd().split("\n");
    using file = Deno.openSync(path, { write: true, create: true, truncate: true });
    for (let n = 0; n < copies; n++) {
      const text = rows.map((row) => JSON.stringify(freshIds(JSON.parse(row), n))).join("\n") + "\n";
      const bytes = new TextEncoder().encode(text);
      for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
    }
    paths[kind] = [path];
  }
  return paths;
}

function freshIds(row: Record<string, unknown>, copy: number): Record<string, unknown> {
  for (const id of IDS) if (id in row) row[id] = `${row[id]}-${copy}`;
  return row;
}

async function measure(params: JsonObject): Promise<void> {
  await withInputStores(async ({ services }) => {
    const start = performance.now();
    const { sources } = await ingest(contextOf({ services, params }).context, { check: "check" });
    const between = performance.now();
    const { rows } = await validate(contextOf({ services }).context, sources);
    const end = performance.now();
    const peak_mb = peakMegabytes();
    console.log(
      JSON.stringify({ rows, ingest_s: (between - start) / 1e3, validate_s: (end - between) / 1e3, peak_mb }),
    );
  });
}

/** The most memory that this process has held at once. */
function peakMegabytes(): number {
  const [, kilobytes] = /VmHWM:\s+(\d+) kB/.exec(Deno.readTextFileSync("/proc/self/status")) ?? [];
  return Math.round(Number(kilobytes) / 1_024);
}
