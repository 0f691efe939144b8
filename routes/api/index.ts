import type { Endpoint } from "../http/endpoint.ts";

/** `GET /`: the list of endpoints; a browser gets the overview. */
export function index(version: string): Endpoint {
  const body = {
    name: "Parley",
    version,
    links: {
      recommendations: "/recommendations/{user_id}?k=10&intent=…",
      intents: "POST /intents/classify",
      health: "/healthz",
      readiness: "/readyz",
      metrics: "/metrics",
      pipeline: "/pipeline/summary",
      anomalies: "/pipeline/anomalies",
    },
  };
  return { route: "/", scope: null, handle: () => Response.json(body, { headers: { vary: "accept" } }) };
}
