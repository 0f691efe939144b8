import { loadSwaggerUi, SWAGGER_UI_VERSION } from "../../../deps.ts";
import { ParleyError } from "../../../lib/core/errors.ts";
import { ASSETS } from "../../http/assets.ts";
import { PAGE_HEADERS } from "../../http/guard.ts";
import type { PageRequest } from "../../http/page.ts";
import { HttpError } from "../../http/problem.ts";

/** Files of Swagger UI by the name that the page asks for: it has the version, so a browser can cache them for ever. */
const FILES: Readonly<Record<string, { readonly file: string; readonly type: string }>> = {
  [`swagger-ui-${SWAGGER_UI_VERSION}.js`]: {
    file: "swagger-ui-bundle.js",
    type: "text/javascript; charset=utf-8",
  },
  [`swagger-ui-${SWAGGER_UI_VERSION}.css`]: { file: "swagger-ui.css", type: "text/css; charset=utf-8" },
};

/** The pages' policy, with what Swagger UI needs: attributes of style, and icons in its style sheet. */
const POLICY = PAGE_HEADERS["content-security-policy"]!
  .replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")
  .replace("img-src 'self'", "img-src 'self' data:");

const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="${ASSETS.icon.href}" type="image/svg+xml">
<link rel="stylesheet" href="/docs/swagger-ui-${SWAGGER_UI_VERSION}.css">
<title>API · Parley</title>
</head>
<body>
<noscript>This page needs a script. <a href="/openapi.json">The API's document</a> has all that it shows.</noscript>
<div id="api"></div>
<script src="/docs/swagger-ui-${SWAGGER_UI_VERSION}.js"></script>
<script src="${ASSETS.api_docs.href}"></script>
</body>
</html>
`;

/** `GET /docs`: the reference of the API, which Swagger UI draws from `/openapi.json`. */
export function docs(): Response {
  return new Response(PAGE, { headers: { ...PAGE_HEADERS, "content-security-policy": POLICY } });
}

/** `GET /docs/:file`: a file of Swagger UI. */
export async function docsFile({ url }: PageRequest): Promise<Response> {
  const found = FILES[url.pathname.replace("/docs/", "")];
  if (found === undefined) throw new HttpError(404, "not_found", "there is no such file");
  const { default: absolutePath } = await loadSwaggerUi();
  const bytes = await Deno.readFile(`${absolutePath()}/${found.file}`).catch((error) => {
    if (!(error instanceof Deno.errors.NotCapable)) throw error;
    throw new ParleyError(
      "unsupported",
      "this process may not read the files of this page: see /openapi.json",
    );
  });
  return new Response(bytes, {
    headers: {
      "content-type": found.type,
      "cache-control": "public, max-age=31536000, immutable",
      "x-content-type-options": "nosniff",
    },
  });
}
