import assert from "node:assert/strict";
import config from "../../deno.json" with { type: "json" };
import { SWAGGER_UI_VERSION } from "../../deps.ts";
import { pageTest } from "./pages.ts";

pageTest(
  "GET /docs needs no key, and loads files of this service only, which exist",
  async ({ app }) => {
    const page = await app.request("/docs", { headers: { accept: "text/html" } });
    assert.equal(page.status, 200);
    assert.match(
      page.headers.get("content-security-policy") ?? "",
      /^default-src 'none'; .*script-src 'self'; /,
    );
    const html = await page.text();
    const files = [...html.matchAll(/(?:src|href)="(\/(?:docs|assets)\/[^"]+)"/g)].map(([, file]) => file!);
    assert.deepEqual(files.map((file) => file.split(".").at(-1)), ["svg", "css", "js", "js"]);
    for (const file of files) {
      const response = await app.request(file);
      assert.equal(response.status, 200, file);
      assert.match(response.headers.get("content-type")!, /^(text\/(javascript|css)|image\/svg)/);
      assert.ok((await response.text()).length > 100);
    }
    assert.equal((await app.request("/docs/other.js")).status, 404);
    assert.ok(!/https?:/.test(html));
    assert.equal(config.imports["swagger-ui-dist"], `npm:swagger-ui-dist@${SWAGGER_UI_VERSION}`);
  },
  { keys: [{ key: "a-key-of-sixteen-characters", scopes: ["read"] }] },
);
