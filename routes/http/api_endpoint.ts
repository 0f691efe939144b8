import { type Context, LRUCache, z } from "../../deps.ts";
import type { Scope } from "../../lib/core/types.ts";
import { jsonBody, readBody } from "./body.ts";
import type { Endpoint, Note, ReportError } from "./endpoint.ts";
import { queryOf } from "./parameters.ts";
import { HttpError } from "./problem.ts";

export const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"] as const;
type Method = typeof METHODS[number];

/** The groups of the API's document, in its order, each with a sentence about it. */
export const TAGS = {
  recommendations: "What is worth showing to a user, or in a conversation.",
  writing: "What users say and do, and the campaigns: in the next answers, without waiting for a run.",
  users: "What is stored about a user, and the rights of the user.",
  campaigns: "The catalogue: what can be recommended, and how it does.",
  intents: "What users want, by the texts that they write.",
  pipeline: "What the pipeline did, and what is wrong.",
  service: "The state of this process and of its stores.",
} as const;

type ParameterSchema = z.ZodType<unknown, Record<string, unknown>>;

/** A response that is not an error. Without a schema it has no body. */
export interface ApiResponse {
  readonly description: string;
  readonly schema?: z.ZodType;
  /** Default `application/json`. */
  readonly type?: string;
  /** Headers that it always has, in addition to those of every response, each with what it says. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** A body that an endpoint needs. */
interface ApiBody<Schema extends z.ZodType> {
  readonly schema: Schema;
  /** A larger body is refused with 413. */
  readonly max_bytes: number;
  /** Whether a request may have none, which then counts as `{}`. */
  readonly optional?: true;
  /** Any other media type is refused with 415. Default JSON alone. */
  readonly types?: readonly string[];
  /** Reads a body of one of these types for `schema` to parse. Default: as JSON. */
  readonly read?: (context: Context, max_bytes: number, type: string) => Promise<unknown>;
  /** The schema in the document by media type, if the handler itself parses parts of the body. Default `schema`. */
  readonly documented?: Readonly<Record<string, z.ZodType>>;
}

/** What the API's document says about an endpoint. */
export interface Contract {
  readonly method: Method;
  /** The path's pattern, such as `/recommendations/:user_id`. */
  readonly route: string;
  /** What a key must allow; null needs no key. */
  readonly scope: Scope | null;
  /** A unique name, by which generators name the function: a verb and a noun in camelCase. */
  readonly operation: string;
  readonly tag: keyof typeof TAGS;
  /** What it does, in a few words. */
  readonly summary: string;
  /** Markdown. */
  readonly description?: string;
  /** An object with a field for each name in the route. */
  readonly params?: ParameterSchema;
  /**
   * A parameter that is given more than once is a list. Without it, the query of a GET is ignored, and another method takes no
   * parameters: who passes one expects it to count.
   */
  readonly query?: ParameterSchema;
  readonly body?: ApiBody<z.ZodType>;
  /** By status. */
  readonly responses: Readonly<Record<number, ApiResponse>>;
  /** Statuses of its errors, except those that follow from the rest: 400, 401, 403, 408, 413, 415 and 500. */
  readonly errors?: readonly number[];
}

/** A request whose parts match the endpoint's schemas; `undefined` stands for a part without a schema. */
interface ApiRequest<Params, Query, Body> {
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
  readonly context: Context;
  readonly note: Note;
  readonly report: ReportError;
}

/** `Options` is what the handler needs, such as stores. */
interface Definition<
  Options,
  Params extends ParameterSchema | z.ZodUndefined,
  Query extends ParameterSchema | z.ZodUndefined,
  Body extends z.ZodType,
> extends Contract, Pick<Endpoint, "answers"> {
  readonly params?: Params & ParameterSchema;
  readonly query?: Query & ParameterSchema;
  readonly body?: ApiBody<Body>;
  /** Called once per app, so state of the endpoint, such as its limits, belongs into its body. */
  readonly handler: (
    options: Options,
  ) => (
    request: ApiRequest<z.output<Params>, z.output<Query>, z.output<Body>>,
  ) => Response | Promise<Response>;
}

/** An endpoint of the API: a contract that is known without a store, and what answers once there are stores. */
export interface ApiEndpoint<Options> extends Contract {
  readonly open: (options: Options) => Endpoint;
}

/**
 * An endpoint that parses requests by the same schemas that the API's document shows. A part that does not match is
 * refused with 400 before the handler is called.
 */
export function apiEndpoint<
  Options,
  Params extends ParameterSchema | z.ZodUndefined = z.ZodUndefined,
  Query extends ParameterSchema | z.ZodUndefined = z.ZodUndefined,
  Body extends z.ZodType = z.ZodUndefined,
>({ handler, answers, ...contract }: Definition<Options, Params, Query, Body>): ApiEndpoint<Options> {
  const { route, scope, params, query, body } = contract;
  const open = (options: Options): Endpoint => {
    const handle = handler(options);
    const parseQuery = queryParser(query ?? (contract.method === "GET" ? z.unknown() : NO_QUERY));
    const request = (context: Context, note: Note, report: ReportError, parsedBody?: unknown) => ({
      params: params?.parse(context.req.param()) as z.output<Params>,
      query: parseQuery(context) as z.output<Query>,
      body: parsedBody as z.output<Body>,
      context,
      note,
      report,
    });
    return {
      route,
      scope,
      audited: scope === "write" || scope === "admin",
      ...answers && { answers },
      handle: body === undefined
        ? (context, note, report) => handle(request(context, note, report))
        : async (context, note, report) =>
          await handle(request(context, note, report, await parseBody(context, body))),
    };
  };
  return { ...contract, open };
}

const NO_QUERY = queryOf({});

/** Queries that stay parsed for each endpoint, and the longest of them: most requests have one of few. */
const MAX_PARSED = 200;
const MAX_PARSED_CHARACTERS = 64;

/** Parses queries as the schema does; to parse one takes as long as to answer from the cache, so short ones are parsed once. */
function queryParser<Query extends z.ZodType>(query: Query): (context: Context) => z.output<Query> {
  const parsed = new LRUCache<string, { readonly value: z.output<Query> }>({ max: MAX_PARSED });
  return (context) => {
    const { url } = context.req;
    const start = url.indexOf("?");
    const text = start < 0 ? "" : url.slice(start);
    if (text.length > MAX_PARSED_CHARACTERS) return query.parse(queryParameters(context));
    const known = parsed.get(text);
    if (known !== undefined) return known.value;
    const value = query.parse(queryParameters(context));
    Object.freeze(value);
    parsed.set(text, { value });
    return value;
  };
}

/** By name, each with its value, or with all its values if it is given more than once. */
function queryParameters(context: Context): Record<string, string | string[]> {
  const values: Record<string, string | string[]> = {};
  for (const [name, all] of Object.entries(context.req.queries())) {
    values[name] = all.length === 1 ? all[0]! : all;
  }
  return values;
}

const JSON_TYPES = ["application/json"];

/**
 * The media type is checked since a page of another site can send a form or text to an open service, but not JSON: browsers
 * ask the service first.
 */
async function parseBody<Schema extends z.ZodType>(
  context: Context,
  { schema, max_bytes, optional, types = JSON_TYPES, read = jsonBody }: ApiBody<Schema>,
): Promise<z.output<Schema>> {
  const isUntyped = context.req.header("content-type") === undefined;
  if (optional && isUntyped && await readBody(context.req.raw, max_bytes) === "") return schema.parse({});
  const type = (context.req.header("content-type") ?? "").replace(/\s*;.*$/s, "").toLowerCase();
  if (!types.includes(type)) {
    throw new HttpError(415, "invalid", `send the body as ${types.join(" or ")}`);
  }
  return schema.parse(await read(context, max_bytes, type));
}
