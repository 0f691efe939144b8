import assert from "node:assert/strict";
import { sha256 } from "../../lib/core/hash.ts";
import { pageTest } from "./pages.ts";

pageTest(
  "GET /docs needs no key, and the script that it loads is the one that its README names",
  async ({ app }) => {
    const page = await app.request("/docs", { headers: { accept: "text/html" } });
    assert.equal(page.status, 200);
    assert.match(
      page.headers.get("content-security-policy") ?? "",
      /^default-src 'none'; .*script-src 'self'; /,
    );
    const [, src = ""] = /<script src="([^"]+)"/.exec(await page.text()) ?? [];
    const script = await app.request(src);
    assert.equal(script.headers.get("content-type"), "text/javascript; charset=utf-8");
    const readme = Deno.readTextFileSync(new URL("../../routes/assets/vendor/README.md", import.meta.url));
    assert.ok(readme.includes(sha256(await script.text())));
    assert.ok(readme.includes(src.match(/\d+\.\d+\.\d+/)![0]));
    assert.equal((await app.request("/docs/other.js")).status, 404);
  },
  { keys: [{ key: "a-key-of-sixteen-characters", scopes: ["read"] }] },
);
