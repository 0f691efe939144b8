import type { Clock } from "../core/clock.ts";
import type { Health, Published } from "../core/types.ts";
import type { ReleaseStore } from "../stores/analytics/port.ts";
import type { RunStore, SinkBacklog } from "../stores/runs/port.ts";
import { gauge, type MetricFamily, singlePoint } from "./metric_families.ts";
import { CachedRead } from "./cached_read.ts";

/** The stores that serving checks, in the order in which they are reported. */
export const STORE_NAMES = ["vectors", "graph", "analytics", "documents", "cache", "runs"] as const;

export type WatchedStores =
  & Readonly<Record<typeof STORE_NAMES[number], { health(): Promise<Health> }>>
  & {
    readonly analytics: Pick<ReleaseStore, "published">;
    readonly runs: Pick<RunStore, "leader" | "unsent" | "sinkBacklogs">;
  };

/** How many anomalies are open and not acknowledged. */
export interface AnomalyCounts {
  readonly critical: number;
  readonly warnings: number;
}

/** More than a look for anomalies may take. */
const ANOMALIES_TIMEOUT_MS = 4_000;

/** Metrics of the stores, anomalies, the published data, the scheduler, lineage and notifications, read at each scrape. */
export class StoreMetrics {
  private readonly health: readonly (readonly [string, CachedRead<Health>])[];
  private readonly anomalies: CachedRead<AnomalyCounts>;
  private readonly published: CachedRead<{ readonly latest: Published | null }>;
  private readonly leader;
  /** Null if lineage is not sent. */
  private readonly unsent: CachedRead<number> | null;
  private readonly backlogs: CachedRead<readonly SinkBacklog[]>;
  private readonly sinks: readonly string[];

  /** `health` has a check for each store, which rejects if the store is down; `anomalies` rejects if it cannot look for them. */
  constructor(
    private readonly clock: Clock,
    { analytics, runs }: Pick<WatchedStores, "analytics" | "runs">,
    options: {
      health: Readonly<Record<string, () => Promise<Health>>>;
      anomalies: () => Promise<AnomalyCounts>;
      lineage: boolean;
      sinks: readonly string[];
    },
  ) {
    this.health = Object.entries(options.health).map(([name, check]) => [name, new CachedRead(clock, check)]);
    this.anomalies = new CachedRead(clock, options.anomalies, ANOMALIES_TIMEOUT_MS);
    this.published = new CachedRead(clock, async () => ({ latest: await analytics.published() }));
    this.leader = new CachedRead(clock, () => runs.leader());
    this.unsent = options.lineage ? new CachedRead(clock, () => runs.unsent()) : null;
    this.sinks = options.sinks;
    this.backlogs = new CachedRead(clock, () => runs.sinkBacklogs());
  }

  /** What cannot be read is left out; `parley_store_up` shows which store is down. Never throws. */
  async families(): Promise<MetricFamily[]> {
    const read = [
      this.storeFamilies(),
      this.anomalyFamilies(),
      this.dataFamilies(),
      this.schedulerFamilies(),
      this.lineageFamilies(),
      this.notificationFamilies(),
    ];
    return (await Promise.all(read)).flat();
  }

  private async storeFamilies(): Promise<MetricFamily[]> {
    const states = await Promise.all(
      this.health.map(async ([store, cached]) => ({ labels: { store }, health: await cached.get() })),
    );
    const up = states.map(({ labels, health }) => ({ labels, value: health === null ? 0 : 1 }));
    const latency = states.flatMap(({ labels, health }) =>
      health === null ? [] : [{ labels, value: health.latency_ms / 1_000 }]
    );
    const bytes = states.flatMap(({ labels, health }) =>
      health === null || health.bytes === null ? [] : [{ labels, value: health.bytes }]
    );
    return [
      gauge("parley_store_up", "1 where a store answers and has what is published", up),
      gauge("parley_store_latency_seconds", "Time of one trivial question to a store", latency),
      gauge("parley_store_bytes", "What a store takes on disk, a cache in memory", bytes),
    ];
  }

  private async anomalyFamilies(): Promise<MetricFamily[]> {
    const open = await this.anomalies.get();
    const points = open === null ? [] : [
      { labels: { severity: "critical" }, value: open.critical },
      { labels: { severity: "warning" }, value: open.warnings },
    ];
    return [gauge("parley_anomalies", "Open anomalies that are not acknowledged", points)];
  }

  private async dataFamilies(): Promise<MetricFamily[]> {
    const published = await this.published.get();
    const latest = published?.latest ?? null;
    return [
      gauge(
        "parley_published_version",
        "The data version that answers are made from",
        singlePoint(latest && latest.version),
      ),
      gauge(
        "parley_published_age_seconds",
        "How long ago that version was published; +Inf if nothing ever was",
        singlePoint(published && (latest === null ? Infinity : this.since(latest.at))),
      ),
    ];
  }

  private async schedulerFamilies(): Promise<MetricFamily[]> {
    const leader = await this.leader.get();
    const up = leader && Number(Date.parse(leader.live_until) > this.clock.now());
    return [
      gauge("parley_scheduler_up", "1 while some process leads the schedule", singlePoint(up)),
      gauge(
        "parley_scheduler_lag_seconds",
        "How much later than planned the scheduler's last tick was",
        singlePoint(leader && leader.lag_ms / 1_000),
      ),
      gauge(
        "parley_scheduler_tick_age_seconds",
        "How long ago the scheduler last ticked",
        singlePoint(leader && this.since(leader.last_tick)),
      ),
    ];
  }

  private async lineageFamilies(): Promise<MetricFamily[]> {
    const depth = await this.unsent?.get() ?? null;
    const help = "Ended attempts that the lineage sink has yet to hear of";
    return [gauge("parley_lineage_outbox_depth", help, singlePoint(depth))];
  }

  private async notificationFamilies(): Promise<MetricFamily[]> {
    const backlogs = this.sinks.length === 0 ? [] : await this.backlogs.get() ?? [];
    const points = backlogs.filter(({ sink }) => this.sinks.includes(sink))
      .map(({ sink, pending }) => ({ labels: { sink }, value: pending }));
    return [gauge("parley_notification_outbox_depth", "Notifications that a sink has yet to get", points)];
  }

  private since(at: string): number {
    return Math.max(0, this.clock.now() - Date.parse(at)) / 1_000;
  }
}
