/** What the kernel counts of this process (Linux). */

/** CPU time of all threads; the kernel counts hundredths of a second. */
export function cpuSeconds(): number {
  const fields = Deno.readTextFileSync("/proc/self/stat").split(") ")[1]!.split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** Bytes of files that became dirty. */
export function writtenBytes(): number {
  return counter("io", "write_bytes");
}

/** Bytes of all write calls. */
export function calledBytes(): number {
  return counter("io", "wchar");
}

/** The largest resident set that there was. */
export function peakBytes(): number {
  return 1_024 * counter("status", "VmHWM");
}

function counter(file: "status" | "io", name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(Deno.readTextFileSync(`/proc/self/${file}`))![1]);
}
