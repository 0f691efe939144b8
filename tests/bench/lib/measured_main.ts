/**
 * Runs the command line in this process, and at its end writes to the file $MEASURED what the kernel counted of it (Linux): CPU
 * seconds, peak memory in MB, and MB written, by pages of files that became dirty and by all write calls.
 */
import { main } from "../../../main.ts";

export interface Measured {
  /** Without the start of the process, as `cpu_s`. */
  readonly seconds: number;
  readonly cpu_s: number;
  readonly peak_mb: number;
  readonly written_mb: number;
  readonly write_calls_mb: number;
}

function counter(file: "status" | "io", name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(Deno.readTextFileSync(`/proc/self/${file}`))![1]);
}

/** CPU time of all threads; the kernel counts hundredths of a second. */
function cpuSeconds(): number {
  const fields = Deno.readTextFileSync("/proc/self/stat").split(") ")[1]!.split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

function measured(start: { ms: number; cpu_s: number }): Measured {
  return {
    seconds: (performance.now() - start.ms) / 1_000,
    cpu_s: cpuSeconds() - start.cpu_s,
    peak_mb: counter("status", "VmHWM") / 1_024,
    written_mb: counter("io", "write_bytes") / 1e6,
    write_calls_mb: counter("io", "wchar") / 1e6,
  };
}

const start = { ms: performance.now(), cpu_s: cpuSeconds() };
const code = await main(Deno.args);
Deno.writeTextFileSync(Deno.env.get("MEASURED")!, JSON.stringify(measured(start)));
Deno.exit(code);
