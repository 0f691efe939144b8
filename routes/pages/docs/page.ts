import { ASSETS } from "../../http/assets.ts";
import { PAGE_HEADERS } from "../../http/guard.ts";
import type { PageRequest } from "../../http/page.ts";
import { HttpError } from "../../http/problem.ts";

/** The package's version is part of the name, so a browser can cache the file for ever and never shows an old one. */
const SCRIPT = "/docs/scalar-1.76.0.js";

/** No fonts, telemetry or proxy of other hosts: the page works without a network. */
const CONFIGURATION = {
  withDefaultFonts: false,
  telemetry: false,
  hideClientButton: true,
  showDeveloperTools: "never",
  agent: { disabled: true },
  mcp: { disabled: true },
  defaultOpenAllTags: true,
  persistAuth: false,
  authentication: { preferredSecurityScheme: "key" },
};

/**
 * The pages' policy, with styles in the page: the script writes elements and attributes of style, and only one of them takes
 * a nonce. What scripts may load and send stays as strict as on other pages.
 */
const POLICY = PAGE_HEADERS["content-security-policy"]!
  .replace("style-src 'self'", "style-src 'self' 'unsafe-inline'");

/** `GET /docs`: the reference of the API, which a script draws from `/openapi.json`. */
export function docs(): Response {
  const configuration = JSON.stringify(CONFIGURATION).replaceAll('"', "&quot;");
  const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="${ASSETS.icon.href}" type="image/svg+xml">
<title>API · Parley</title>
</head>
<body>
<noscript>This page needs a script. <a href="/openapi.json">The API's document</a> has all that it shows.</noscript>
<script id="api-reference" type="application/json" data-url="/openapi.json" data-configuration="${configuration}"></script>
<script src="${SCRIPT}"></script>
</body>
</html>
`;
  return new Response(html, { headers: { ...PAGE_HEADERS, "content-security-policy": POLICY } });
}

/** `GET /docs/:script`: Scalar's. */
export async function script({ url }: PageRequest): Promise<Response> {
  if (url.pathname !== SCRIPT) throw new HttpError(404, "not_found", "there is no such file");
  const { default: text } = await import("../../assets/vendor/scalar.js", { with: { type: "text" } });
  return new Response(text, {
    headers: {
      "content-type": "text/javascript; charset=utf-8",
      "cache-control": "public, max-age=31536000, immutable",
      "x-content-type-options": "nosniff",
    },
  });
}
