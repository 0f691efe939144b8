import { loadCors } from "../../deps.ts";
import { METHODS } from "./api_endpoint.ts";

/** The headers of responses that a page of another site may read. */
const EXPOSED = [
  "Allow",
  "RateLimit-Limit",
  "RateLimit-Remaining",
  "RateLimit-Reset",
  "Retry-After",
  "Server-Timing",
  "X-Cache",
  "X-Request-Id",
];
/** How long a browser remembers what it may do, in seconds. */
const MAX_AGE_S = 600;

/** Lets pages of these sites call an endpoint, with keys and without cookies. Errors have the headers too. */
export async function corsFor(origins: readonly string[]) {
  const { cors } = await loadCors();
  return cors({
    origin: origins.includes("*") ? "*" : [...origins],
    allowMethods: [...METHODS],
    allowHeaders: ["Authorization", "Content-Type", "X-Request-Id"],
    exposeHeaders: EXPOSED,
    maxAge: MAX_AGE_S,
  });
}
