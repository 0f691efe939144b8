import { counter, counts, gauge, type MetricFamily, only } from "./metric_families.ts";

const uncaught = counts();
const errors = uncaught.of({});

/** Counts an error that reached the process itself. */
export function countUncaught(): void {
  errors.n++;
}

/** This process, under the names that Prometheus' own clients use. Needs no permission. */
export function processFamilies(options: { version: string; started: number }): MetricFamily[] {
  const { rss, heapUsed } = Deno.memoryUsage();
  return [
    gauge("parley_build_info", "Which version runs", [{ labels: { version: options.version }, value: 1 }]),
    gauge("process_start_time_seconds", "When this process began to serve", only(options.started / 1_000)),
    gauge("process_resident_memory_bytes", "Memory of this process", only(rss)),
    gauge("process_heap_bytes", "Memory of its JavaScript heap in use", only(heapUsed)),
    counter("parley_uncaught_errors_total", "Errors that no code caught; the log has each", uncaught),
  ];
}
