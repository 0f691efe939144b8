import assert from "node:assert/strict";
import { Validator } from "@seriousme/openapi-schema-validator";
import { loadHono } from "../../deps.ts";
import { ENDPOINTS } from "../../routes/api/mod.ts";
import { appTest } from "./app.ts";
import { withContract } from "./contract.ts";

appTest("GET /openapi.json is valid OpenAPI 3.1, also with keys and without one", async ({ app }) => {
  const response = await app.request("/openapi.json");
  assert.equal(response.status, 200);
  const { valid, errors } = await new Validator().validate(await response.json());
  assert.deepEqual([valid, errors], [true, undefined]);
}, { options: () => ({ keys: [{ key: "a-key-of-sixteen-characters", scopes: ["read"] }] }) });

appTest(
  "GET /openapi.json has each route that is mounted but /mcp, whose protocol has its own schemas, and no other",
  async ({ app }) => {
    const { paths } = await (await app.request("/openapi.json")).json();
    const documented = Object.entries<Record<string, unknown>>(paths).flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => `${method.toUpperCase()} ${path.replace(/\{(\w+)\}/g, ":$1")}`)
    );
    const mounted = app.routes.filter(({ path }) => path !== "/mcp")
      .map(({ method, path }) => `${method} ${path}`);
    assert.deepEqual(documented.sort(), mounted.sort());
    assert.ok(documented.length > 5);
  },
);

Deno.test("no path is an instance of another one, whose methods it would have too", () => {
  const paths = [...new Set(ENDPOINTS.map(({ route }) => route))];
  const isInstance = (path: string, of: string) =>
    path !== of && new RegExp(`^${of.replace(/:\w+/g, "[^/]+")}$`).test(path);
  assert.ok(isInstance("/pipeline/runs/clear", "/pipeline/runs/:run_id"));
  assert.deepEqual(paths.filter((path) => paths.some((of) => isInstance(path, of))), []);
});

appTest("each endpoint declares what its route names, and has a name of its own", async ({ app }) => {
  const { paths } = await (await app.request("/openapi.json")).json();
  for (const { route, method } of ENDPOINTS) {
    const names = [...route.matchAll(/:(\w+)/g)].map(([, name]) => name!);
    const { parameters = [] } = paths[route.replace(/:(\w+)/g, "{$1}")][method.toLowerCase()];
    const declared = parameters.filter((parameter: { in: string }) => parameter.in === "path");
    assert.deepEqual(declared.map(({ name }: { name: string }) => name), names, `${method} ${route}`);
  }
  const operations = ENDPOINTS.map(({ operation }) => operation);
  assert.equal(new Set(operations).size, operations.length);
});

const UP = { status: "up", version: "1", started_at: "2026-01-01T00:00:00.000Z", uptime_s: 1 };
const ID = { "x-request-id": "a" };

for (
  const [what, response, expected] of [
    ["what is documented", () => Response.json(UP, { headers: ID }), null],
    [
      "a field that is not documented",
      () => Response.json({ ...UP, extra: 1 }, { headers: ID }),
      /healthz answers 200/,
    ],
    [
      "a field too few",
      () => Response.json({ ...UP, version: undefined }, { headers: ID }),
      /healthz answers 200/,
    ],
    [
      "a status that is not documented",
      () => Response.json(UP, { status: 202, headers: ID }),
      /not documented/,
    ],
    ["another media type", () => new Response("up", { headers: ID }), /another type/],
    ["a header too few", () => Response.json(UP), /X-Request-Id/],
  ] as const
) {
  Deno.test(`tests of routes ${expected === null ? "accept" : "refuse"} ${what}`, async () => {
    const { Hono } = await loadHono();
    const app = withContract(new Hono().get("/healthz", response));
    const asked = Promise.resolve(app.request("/healthz"));
    if (expected === null) assert.equal((await asked).status, 200);
    else await assert.rejects(asked, expected);
  });
}
