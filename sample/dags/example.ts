import { defineDag, Fail, Skip, z } from "parley";

/** What `count` returns and `report` reads: small JSON, never rows. */
interface Counts {
  readonly campaigns: number;
  readonly events: number;
}

export default defineDag({
  id: "example",
  doc: "Says how much there is to recommend.",
  // Minute, hour, day, month, weekday. Without a schedule it runs by hand only.
  schedule: { cron: "0 7 * * 1", timezone: "UTC" },
  // Checked before each run. A scheduled run is given none, so each has a default.
  params: z.object({
    min_campaigns: z.number().int().min(0).default(1).describe("fails if there are fewer campaigns"),
  }),
  // Params that may be set over HTTP and on the page; others have their defaults there.
  remote: { min_campaigns: "any" },
  // A secret is set as PARLEY_DAG_SECRET_SLACK_URL and read by services.secret("SLACK_URL").
  // secrets: ["SLACK_URL"],
  tasks: [
    {
      id: "count",
      doc: "counts campaigns and events",
      async run({ services, signal, reads, rows }): Promise<Counts> {
        const { campaigns, events } = await services.analytics.counts({ signal });
        if (campaigns + events === 0) throw new Skip("there is no data yet");
        reads(services.dataset("analytics", "campaigns"));
        rows({ in: campaigns + events });
        return { campaigns, events };
      },
    },
    {
      id: "report",
      doc: "fails if there are too few",
      needs: ["count"],
      run({ output, params, log }) {
        const { campaigns, events } = output<Counts>("count")!;
        log(`${campaigns} campaigns, ${events} events`);
        // No retry helps, so it does not retry. Any other error is retried three times.
        if (campaigns < params.min_campaigns) throw new Fail(`there are ${campaigns} campaigns only`);
      },
    },
  ],
});
