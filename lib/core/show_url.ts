/** Schemes whose URLs name something on this machine: they have a path and no host. */
const LOCAL = ["sqlite:", "file:", "onnx:", "memory:", "test:"];

/** Parameters whose values hold no secret, of any store, endpoint or model. */
const SAFE_PARAMETERS: readonly string[] = [
  ...["schema", "sslmode", "prefix", "namespace", "region"],
  ...["authSource", "authMechanism", "replicaSet", "directConnection", "tls", "ssl", "retryWrites"],
  ...["model", "dimensions", "revision", "batch", "concurrency", "timeout_ms", "max_chars", "dtype"],
  ...["query_prefix", "document_prefix", "api-version"],
];

/** Replaces omitted parts. */
export const ELLIPSIS = "…";

/**
 * A URL that is safe to show: scheme, host, port, path and the parameters that hold no secret. A login is left
 * out, and `…` is put in the place of anything else, since any part of a URL may hold a secret.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { showUrl } from "./show_url.ts";
 *
 * const url = new URL("mongodb://parley:secret@db:27017/parley?authSource=admin");
 * assert.ok(!showUrl(url).includes("secret"));
 * ```
 */
export function showUrl(url: URL): string {
  const { protocol, host, pathname, search } = url;
  if (LOCAL.includes(protocol) && host === "") return protocol + decodePath(pathname) + safeQuery(search);
  // Without a host, or with an @ behind it, a login may have been taken for a path: `redis:user:password@host`.
  if (host === "" || (!/^https?:$/.test(protocol) && /@|%40/.test(pathname + search))) {
    return `${protocol}${ELLIPSIS}`;
  }
  return `${protocol}//${host}${pathname}${safeQuery(search)}`;
}

function decodePath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

function safeQuery(search: string): string {
  if (search.length < 2) return "";
  const parameters = search.slice(1).split("&");
  const safe = parameters.filter((parameter) => SAFE_PARAMETERS.includes(parameter.split("=")[0]!));
  return `?${[...safe, ...safe.length < parameters.length ? [ELLIPSIS] : []].join("&")}`;
}
