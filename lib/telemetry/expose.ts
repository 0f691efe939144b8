import { type HistogramMetricData, loadPrometheus, type MetricData, type SumMetricData } from "../../deps.ts";
import { Histogram, type MetricFamily, type MetricPoint } from "./metric_families.ts";

/** What {@link expose} returns, for HTTP. */
export const CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

type Prometheus = Awaited<ReturnType<typeof loadPrometheus>>;

/** Families as text in Prometheus' exposition format. Families without points are left out. */
export async function expose(families: readonly MetricFamily[]): Promise<string> {
  const prometheus = await loadPrometheus();
  const metrics = families.filter(({ points }) => points.length > 0).map((family) =>
    metricOf(family, prometheus)
  );
  const serializer = new prometheus.PrometheusSerializer(undefined, false, undefined, true, true);
  return serializer.serialize({
    resource: NO_RESOURCE,
    scopeMetrics: [{ scope: { name: "parley" }, metrics }],
  });
}

/** The serializer needs a resource, and the options above keep it from writing it. */
const NO_RESOURCE = Object.freeze({ attributes: {}, merge: () => NO_RESOURCE, getRawAttributes: () => [] });

/** Prometheus sets the time of a scrape, so these are not used. */
const AT = { startTime: [0, 0], endTime: [0, 0] } satisfies { startTime: [number, number]; endTime: unknown };

function metricOf(family: MetricFamily, { DataPointType, AggregationTemporality }: Prometheus): MetricData {
  const descriptor = { name: family.name, description: family.help, unit: "", valueType: 1 };
  const aggregationTemporality = AggregationTemporality.CUMULATIVE;
  if (family.type === "histogram") {
    const dataPoints = family.points.flatMap(histogramPoint);
    return { descriptor, aggregationTemporality, dataPointType: DataPointType.HISTOGRAM, dataPoints };
  }
  const dataPoints = family.points.flatMap(({ labels, value }) =>
    typeof value === "number" ? [{ ...AT, attributes: labels, value }] : []
  ) as SumMetricData["dataPoints"];
  return family.type === "counter"
    ? { descriptor, aggregationTemporality, dataPointType: DataPointType.SUM, isMonotonic: true, dataPoints }
    : { descriptor, aggregationTemporality, dataPointType: DataPointType.GAUGE, dataPoints };
}

function histogramPoint({ labels, value }: MetricPoint): HistogramMetricData["dataPoints"] {
  if (!(value instanceof Histogram)) return [];
  const buckets = { boundaries: [...value.bounds], counts: [...value.counts] };
  const point = { ...AT, attributes: labels, value: { buckets, sum: value.sum, count: value.count } };
  return [point] as HistogramMetricData["dataPoints"];
}
