import assert from "node:assert/strict";
import { Ajv2020 } from "ajv/2020";
import type { Hono } from "../../deps.ts";
import { PAGES } from "../../routes/pages/mod.ts";

type Operation = {
  readonly responses: Record<string, { readonly $ref?: string }>;
};

/** `docs_test.ts` compares it with the endpoints; building it takes longer. */
const DOCUMENT: { paths: Record<string, Record<string, Operation>> } = JSON.parse(
  Deno.readTextFileSync(new URL("../../docs/openapi.json", import.meta.url)),
);
const ajv = new Ajv2020({ strict: false, validateFormats: false, validateSchema: false })
  .addSchema({ $id: "openapi", ...DOCUMENT });

/** The operations by the pattern of their path, those without a parameter first, as the router takes them. */
const PATHS = Object.entries(DOCUMENT.paths).map(([path, operations]) => ({
  path,
  pattern: new RegExp(`^${path.replace(/[.]/g, "\\$&").replace(/\{\w+\}/g, "[^/]+")}$`),
  operations,
})).sort((a, b) => Number(a.path.includes("{")) - Number(b.path.includes("{")));

/** The paths at which a browser gets a page. */
const SHARED = new Set(
  PAGES.filter(({ shared }) => shared).map(({ path }) => path.replaceAll(/:(\w+)/g, "{$1}")),
);

/** The same app: a response of the API that its document does not have fails the test. */
export function withContract(app: Hono): Hono {
  const request = app.request;
  app.request = async (input, init, ...more) => {
    const response = await request(input, init, ...more);
    const { url, method } = input instanceof Request
      ? input
      : new Request(new URL(String(input), "http://a"), { method: init?.method ?? "GET" });
    await checkContract(method, new URL(url).pathname, response);
    return response;
  };
  return app;
}

/** What nginx logs for a client that disconnected before its answer. */
const CLIENT_CLOSED_REQUEST = 499;

async function checkContract(method: string, path: string, response: Response): Promise<void> {
  const { status, headers } = response;
  if (status === CLIENT_CLOSED_REQUEST) return;
  const type = headers.get("content-type");
  const found = PATHS.find(({ pattern }) => pattern.test(path));
  const verb = method === "HEAD" ? "get" : method.toLowerCase();
  const operation = found?.operations[verb];
  const what = `${method} ${found?.path ?? path} answers ${status} ${type ?? ""}`;
  // A preflight is answered without a body.
  if (method === "OPTIONS" && status === 204) return;
  if (operation === undefined) {
    if (type === "application/problem+json") await checkBody("#/components/schemas/Problem", response, what);
    return;
  }
  // A browser gets a page at the same path, or is sent to the login.
  if (SHARED.has(found!.path) && (status === 303 || type?.startsWith("text/html"))) return;
  const given = operation.responses[`${status}`];
  assert.ok(given !== undefined, `${what}, which is not documented`);
  const pointer = given.$ref ??
    `#/paths/${found!.path.replaceAll("/", "~1")}/${verb}/responses/${status}`;
  const { content = {}, headers: expected = {} } = at(pointer) as {
    content?: Record<string, unknown>;
    headers?: Record<string, { $ref?: string; required?: boolean }>;
  };
  for (const [name, header] of Object.entries(expected)) {
    const { required } = (header.$ref === undefined ? header : at(header.$ref)) as { required?: boolean };
    assert.ok(!required || headers.has(name), `${what} without the documented header ${name}`);
  }
  if (method === "HEAD") return;
  assert.ok(
    Object.keys(content).length === 0 ? type === null : type !== null && type in content,
    `${what}, another type than documented`,
  );
  if (!type?.includes("json")) return;
  await checkBody(`${pointer}/content/${type.replaceAll("/", "~1")}/schema`, response, what);
}

async function checkBody(pointer: string, response: Response, what: string): Promise<void> {
  const validate = ajv.getSchema(`openapi${pointer.replaceAll("{", "%7B").replaceAll("}", "%7D")}`);
  assert.ok(validate !== undefined, `the document has no ${pointer}`);
  const text = await response.clone().text();
  // Of NDJSON the schema is that of a line.
  const isLines = response.headers.get("content-type")?.includes("ndjson");
  for (const body of isLines ? text.trimEnd().split("\n") : [text]) {
    validate(JSON.parse(body));
    assert.deepEqual(validate.errors ?? [], [], what);
  }
}

/** What a JSON pointer of the document points to. */
function at(pointer: string): unknown {
  const names = pointer.slice(2).split("/").map((name) => name.replaceAll("~1", "/"));
  return names.reduce<unknown>((value, name) => (value as Record<string, unknown>)[name], DOCUMENT);
}
