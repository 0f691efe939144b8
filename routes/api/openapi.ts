import { z } from "../../deps.ts";
import { apiEndpoint } from "../http/api_endpoint.ts";

/** `GET /openapi.json`. It needs no key, since it says nothing about the data. */
export const openapi = apiEndpoint({
  method: "GET",
  route: "/openapi.json",
  scope: null,
  operation: "getOpenApi",
  tag: "service",
  summary: "This document",
  responses: {
    200: { description: "OpenAPI 3.1.", schema: z.lazy(() => z.looseObject({ openapi: z.string() })) },
  },
  handler: ({ document }: { document: () => Promise<object> }) => {
    let text: Promise<string> | null = null;
    return async () => {
      text ??= document().then((value) => JSON.stringify(value));
      return new Response(await text, {
        headers: { "content-type": "application/json", "cache-control": "no-store" },
      });
    };
  },
});
