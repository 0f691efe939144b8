import { AnswerCharts } from "../../components/serving_charts.tsx";
import { live } from "../../http/live.ts";
import type { PageRequest, View } from "../../http/page.ts";
import { type OverviewData, readOverview } from "./data.ts";
import { Engagement } from "./engagement.tsx";
import { Now, OpenAnomalies, Pipelines } from "./parts.tsx";
import { StatusBanner } from "./status_banner.tsx";

/** `GET /` for a browser: whether everything is fine, what to do if it is not, and the figures behind that. */
export async function overview({ context, url }: PageRequest): Promise<View> {
  const data = await readOverview(context, url);
  return {
    title: "Overview",
    live: `/overview/events${url.search}`,
    body: (
      <>
        <div role="status">
          <Health {...data} />
        </div>
        <Now {...data} />
        <OpenAnomalies {...data} />
        <Pipelines {...data} />
        <div class="columns">
          <AnswerCharts {...data} />
          <Engagement {...data} />
        </div>
      </>
    ),
  };
}

/** `GET /overview/events`: each part of the overview when it changes. */
export function overviewEvents(request: PageRequest): Promise<Response> {
  const page = new URL(`/${request.url.search}`, request.url);
  const takeSnapshot = async () => {
    const data = await readOverview(request.context, page);
    const fragments = Object.entries(FRAGMENTS).map(([id, Component]) => {
      const html = (<Component {...data} />).toString();
      return { id, key: html, html: () => html };
    });
    return { fragments, over: false };
  };
  return live(request, { every_ms: 3_000, takeSnapshot });
}

/** What changes, by the id of its element. */
const FRAGMENTS = {
  "health": Health,
  "now": Now,
  "open-anomalies": OpenAnomalies,
  "all-pipelines": Pipelines,
  "answers": AnswerCharts,
  "engagement": Engagement,
} as const;

function Health({ anomalies }: OverviewData) {
  return (
    <div id="health">
      <StatusBanner anomalies={anomalies} />
    </div>
  );
}
