import type { Endpoint } from "./endpoint.ts";

/** `GET /`: what is here. */
export function index(version: string): Endpoint {
  const body = {
    name: "Parley",
    version,
    links: {
      recommendations: "/recommendations/{user_id}?k=10&intent=…",
      intents: "POST /intents/classify",
      health: "/healthz",
      readiness: "/readyz",
    },
  };
  return { route: "/", scope: null, handle: () => Response.json(body) };
}
