import { type ErrorCode, messageOf, ParleyError } from "../../../core/errors.ts";

/** Where the objects are. */
export interface S3Address {
  readonly endpoint: string;
  readonly region: string;
  readonly bucket: string;
  /** Empty, or ends with a slash. */
  readonly prefix: string;
  readonly key: string;
  readonly secret: string;
}

/** Throws `invalid`, without the URL, which has a secret. */
export function parseS3Url(url: URL): S3Address {
  const parameters = url.searchParams;
  for (const name of parameters.keys()) {
    if (name !== "endpoint" && name !== "region") refuse("the parameters are ?endpoint= and ?region=");
  }
  const [endpoint, region] = [parameters.get("endpoint"), parameters.get("region")];
  if (url.hostname === "") refuse("the bucket is missing");
  if (url.username === "" || url.password === "") refuse("the access key or its secret is missing");
  if (endpoint === null && region === null) refuse("?region= is missing, or ?endpoint= of another service");
  if (endpoint !== null && !/^https?:$/.test(URL.parse(endpoint)?.protocol ?? "")) {
    refuse("?endpoint= is no http or https URL");
  }
  const path = decodeURIComponent(url.pathname).replace(/^\/+|\/+$/g, "");
  return {
    endpoint: endpoint ?? `https://s3.${region}.amazonaws.com`,
    region: region ?? "us-east-1",
    bucket: url.hostname,
    prefix: path === "" ? "" : `${path}/`,
    key: decodeURIComponent(url.username),
    secret: decodeURIComponent(url.password),
  };
}

function refuse(complaint: string): never {
  throw new ParleyError(
    "invalid",
    `PARLEY_ARTIFACTS is no URL of a bucket, s3://KEY:SECRET@bucket/prefix?region=eu-west-1: ${complaint}`,
  );
}

/** By the code of the server's error, or words of the connection's. */
const REASONS: readonly (readonly [RegExp, ErrorCode, string])[] = [
  [/^NoSuchKey/, "not_found", "has no such object"],
  [/^NoSuchBucket/, "invalid", "has no bucket of that name: create it, or correct PARLEY_ARTIFACTS"],
  [/^(InvalidAccessKeyId|SignatureDoesNotMatch)/, "denied", "refused the key: correct PARLEY_ARTIFACTS"],
  [
    /^(AccessDenied|403)/,
    "denied",
    "does not allow the key to list, get, put and delete objects: extend its policy",
  ],
  [/dns error|failed to lookup/i, "unavailable", "cannot be found: does the host have an address?"],
  [/connection refused/i, "unavailable", "refused the connection: is it running?"],
  [/certificate|UnknownIssuer/i, "unavailable", "has a certificate that is not trusted: set DENO_CERT"],
  [/timed? ?out/i, "unavailable", "did not answer in time"],
];

/** One sentence for what the server or the connection said. */
export function explainS3(error: unknown, { endpoint }: S3Address): ParleyError {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const words = `${code || messageOf(error)}`;
  const [, kind, what] = REASONS.find(([pattern]) => pattern.test(words)) ??
    [null, "unavailable", `failed${/^\w+$/.test(code) ? ` with ${code}` : ""}`] as const;
  return new ParleyError(kind, `the object store at ${URL.parse(endpoint)?.host} ${what}`, {
    cause: error,
  });
}
