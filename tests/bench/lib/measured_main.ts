/**
 * Runs the command line in this process, and at its end writes to the file $MEASURED what the kernel counted of it (Linux): CPU
 * seconds, peak memory in MB, and MB written, by pages of files that became dirty and by all write calls.
 */
import { main } from "../../../main.ts";
import { calledBytes, cpuSeconds, peakBytes, writtenBytes } from "./process_costs.ts";

export interface Measured {
  /** Without the start of the process, as `cpu_s`. */
  readonly seconds: number;
  readonly cpu_s: number;
  readonly peak_mb: number;
  readonly written_mb: number;
  readonly write_calls_mb: number;
}

function measured(start: { ms: number; cpu_s: number }): Measured {
  return {
    seconds: (performance.now() - start.ms) / 1_000,
    cpu_s: cpuSeconds() - start.cpu_s,
    peak_mb: peakBytes() / 1_048_576,
    written_mb: writtenBytes() / 1e6,
    write_calls_mb: calledBytes() / 1e6,
  };
}

const start = { ms: performance.now(), cpu_s: cpuSeconds() };
const code = await main(Deno.args);
Deno.writeTextFileSync(Deno.env.get("MEASURED")!, JSON.stringify(measured(start)));
Deno.exit(code);
