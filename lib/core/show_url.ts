/** Schemes whose URLs name something on this machine: they have a path and no host. */
const LOCAL = ["sqlite:", "file:", "onnx:", "memory:", "test:"];

/** Parameters whose values hold no secret, of any store, endpoint or model. */
const HARMLESS: readonly string[] = [
  ...["schema", "sslmode", "prefix", "namespace"],
  ...["authSource", "authMechanism", "replicaSet", "directConnection", "tls", "ssl", "retryWrites"],
  ...["model", "dimensions", "revision", "batch", "concurrency", "timeout_ms", "max_chars", "dtype"],
  ...["query_prefix", "document_prefix", "api-version"],
];

/** Is put where something is left out. */
export const LEFT_OUT = "…";

/**
 * A URL as people may see it: scheme, host, port, path and the parameters that are known to be harmless. A login is left
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
  if (LOCAL.includes(protocol) && host === "") return protocol + decoded(pathname) + shownQuery(search);
  // Without a host, or with an @ behind it, a login may have been taken for a path: `redis:user:password@host`.
  if (host === "" || (!/^https?:$/.test(protocol) && /@|%40/.test(pathname + search))) {
    return `${protocol}${LEFT_OUT}`;
  }
  return `${protocol}//${host}${pathname}${shownQuery(search)}`;
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

function shownQuery(search: string): string {
  if (search.length < 2) return "";
  const parts = search.slice(1).split("&");
  const shown = parts.filter((part) => HARMLESS.includes(part.split("=")[0]!));
  return `?${[...shown, ...shown.length < parts.length ? [LEFT_OUT] : []].join("&")}`;
}
