import { z } from "../../deps.ts";
import { apiEndpoint } from "../http/api_endpoint.ts";

const LINKS = {
  recommendations: "/recommendations/{user_id}?k=10&intent=…",
  campaigns: "/campaigns?q=…",
  campaign: "/campaigns/{campaign_id}",
  similar: "/campaigns/{campaign_id}/similar?k=10",
  popular: "/popular?k=10&category=…",
  experiments: "/experiments",
  intents: "POST /intents/classify",
  health: "/healthz",
  readiness: "/readyz",
  metrics: "/metrics",
  pipeline: "/pipeline/summary",
  anomalies: "/pipeline/anomalies",
};

/** `GET /`; a browser gets the overview. */
export const index = apiEndpoint({
  method: "GET",
  route: "/",
  scope: null,
  operation: "getIndex",
  tag: "service",
  summary: "A list of endpoints",
  responses: {
    200: {
      description: "Where to go from here.",
      schema: z.lazy(() =>
        z.object({ name: z.literal("Parley"), version: z.string(), links: z.record(z.string(), z.string()) })
      ),
    },
  },
  handler: ({ version }: { version: string }) => {
    const body = { name: "Parley", version, links: LINKS };
    return () => Response.json(body, { headers: { vary: "accept" } });
  },
});
