import { loadZodOpenApi, z, type ZodOpenApiOperation, type ZodOpenApiResponse } from "../../deps.ts";
import { type ApiResponse, type Contract, TAGS } from "./api_endpoint.ts";
import { PROBLEM_CODES, TITLES } from "./problem.ts";

const DESCRIPTION = `Conversation in, recommendations out.

An error is \`application/problem+json\` (RFC 9457) with one sentence in \`detail\`; a method that a path does not have is
405, with those that it has in \`Allow\`. \`/mcp\` speaks the Model Context Protocol, and is not part of this document. A response has the request's id in
\`X-Request-Id\`, which the log has too.`;

/** `Problem` of routes/http/problem.ts. */
const PROBLEM = z.lazy(() =>
  z.object({
    type: z.literal("about:blank"),
    title: z.string().describe("The status in words."),
    status: z.int(),
    detail: z.string().describe("One sentence: what is wrong, and what to do."),
    instance: z.string().describe("The request's id, which its log line has too."),
    code: z.enum(PROBLEM_CODES),
  }).meta({ id: "Problem" })
);

const header = (id: string, description: string) => z.string().meta({ description, header: { id } });
const REQUEST_ID = header(
  "X-Request-Id",
  "The caller's id of the request if it sent one, otherwise a new one.",
);

const RATE_LIMIT = {
  "RateLimit-Limit": optional("If requests are limited: how many the key may send in a minute."),
  "RateLimit-Remaining": optional("If requests are limited: how many of them are left."),
  "RateLimit-Reset": optional("If requests are limited: when the minute ends, in seconds."),
};

/** Headers of errors, by status. */
const ERROR_HEADERS: Readonly<Record<number, z.ZodRawShape>> = {
  401: { "WWW-Authenticate": header("WWW-Authenticate", "How to send a key.") },
  429: { "Retry-After": header("Retry-After", "When to try again, in seconds.") },
  503: {
    "Retry-After": z.string().describe("If it helps to try again: when, in seconds.")
      .exactOptional(),
  },
};

function optional(description: string) {
  return z.string().meta({ description }).exactOptional();
}

/** The API's document, by OpenAPI 3.1. It depends on nothing but the endpoints' contracts. */
export async function openApiDocument(endpoints: readonly Contract[], version: string) {
  const { createDocument } = await loadZodOpenApi();
  const errors = new Map<number, ZodOpenApiResponse>();
  const errorOf = (status: number) => {
    const response = errors.get(status) ?? errorResponse(status);
    errors.set(status, response);
    return response;
  };
  const paths: Record<string, Record<string, ZodOpenApiOperation>> = {};
  for (const endpoint of endpoints) {
    const path = endpoint.route.replace(/:(\w+)/g, "{$1}");
    paths[path] = { ...paths[path], [endpoint.method.toLowerCase()]: operationOf(endpoint, errorOf) };
  }
  return createDocument({
    openapi: "3.1.1",
    info: {
      title: "Parley",
      version,
      description: DESCRIPTION,
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: "/" }],
    tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
    paths,
    components: {
      securitySchemes: {
        key: {
          type: "http",
          scheme: "bearer",
          description:
            "An API key. Its scopes are `read`, `write` and `admin`; each includes those before it. A service on " +
            "loopback without keys needs none.",
        },
      },
    },
  }, {
    override: ({ jsonSchema, io }) => {
      // It is from a type of this program, and says nothing about a response.
      delete jsonSchema.readOnly;
      if (io === "input") return;
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
    },
  });
}

function operationOf(
  { operation, tag, summary, description, scope, params, query, body, responses, errors = [] }: Contract,
  errorOf: (status: number) => ZodOpenApiResponse,
): ZodOpenApiOperation {
  const statuses = new Set([
    400,
    403,
    500,
    ...scope === null ? [] : [401, 429],
    ...body === undefined ? [] : [408, 413, 415],
    ...errors,
  ]);
  const byStatus: Record<string, ZodOpenApiResponse> = {};
  for (const status of statuses) byStatus[`${status}`] = errorOf(status);
  for (const [status, response] of Object.entries(responses)) byStatus[status] = responseOf(response, scope);
  const content = body && Object.fromEntries(
    (body.types ?? ["application/json"]).map((
      type,
    ) => [type, { schema: body.documented?.[type] ?? body.schema }]),
  );
  return {
    operationId: operation,
    tags: [tag],
    summary,
    ...description !== undefined && { description },
    security: scope === null ? [] : [{ key: [scope] }],
    ...(params ?? query) !== undefined && {
      requestParams: { ...params && { path: params }, ...query && { query } },
    },
    ...content && { requestBody: { required: !body?.optional, content } },
    responses: byStatus as ZodOpenApiOperation["responses"],
  };
}

function responseOf(
  { description, schema, type = "application/json", headers = {} }: ApiResponse,
  scope: Contract["scope"],
): ZodOpenApiResponse {
  const own = Object.entries(headers).map(([name, text]) => [name, z.string().describe(text)]);
  return {
    description,
    headers: z.object({
      "X-Request-Id": REQUEST_ID,
      ...scope !== null && RATE_LIMIT,
      ...Object.fromEntries(own),
    }),
    ...schema && { content: { [type]: { schema } } },
  };
}

function errorResponse(status: number): ZodOpenApiResponse {
  return {
    id: TITLES[status]!.replaceAll(" ", ""),
    description: TITLES[status]!,
    headers: z.object({ "X-Request-Id": REQUEST_ID, ...RATE_LIMIT, ...ERROR_HEADERS[status] }),
    content: { "application/problem+json": { schema: PROBLEM } },
  };
}
