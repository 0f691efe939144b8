import { counter, counts, gauge, type MetricFamily, singlePoint } from "./metric_families.ts";

const uncaught = counts();
const errors = uncaught.withLabels({});

/** Counts an error that reached the process itself. */
export function countUncaught(): void {
  errors.n++;
}

/** This process, under the names that Prometheus' own clients use. Needs no permission. */
export function processFamilies(options: { version: string; started: number }): MetricFamily[] {
  const { rss, heapUsed } = Deno.memoryUsage();
  return [
    gauge("parley_build_info", "Which version runs", [{ labels: { version: options.version }, value: 1 }]),
    gauge(
      "process_start_time_seconds",
      "When this process began to serve",
      singlePoint(options.started / 1_000),
    ),
    gauge("process_resident_memory_bytes", "Memory of this process", singlePoint(rss)),
    gauge("process_heap_bytes", "Memory of its JavaScript heap in use", singlePoint(heapUsed)),
    counter("parley_uncaught_errors_total", "Errors that no code caught; the log has each", uncaught),
  ];
}
