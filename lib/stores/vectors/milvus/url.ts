import { ParleyError } from "../../../core/errors.ts";

/** Where a Milvus is, and which part of it is Parley's. */
export interface MilvusAddress {
  /** Host and port: the part that a message may show. */
  readonly host: string;
  readonly tls: boolean;
  readonly credentials: { readonly token: string } | { readonly username: string; readonly password: string };
  readonly database: string;
  /** Of the names of collections. */
  readonly prefix: string;
  /** Zilliz Cloud, which chooses indexes by itself. */
  readonly managed: boolean;
}

const DEFAULT_PREFIX = "parley_";

/**
 * Reads `milvus://[user:password@]host[:19530][/database][?prefix=parley_]`. `milvuss://` is the same over TLS,
 * `https://API_KEY@host[:443]` is Zilliz Cloud; a user without a password is a token in each. Stores with different
 * prefixes or databases are separate. Throws `invalid`, without quoting credentials.
 */
export function parseMilvusUrl(url: URL): MilvusAddress {
  if ([...url.searchParams.keys()].some((name) => name !== "prefix")) {
    throw refused("has an unknown parameter; the only one is prefix");
  }
  const prefix = url.searchParams.get("prefix") ?? DEFAULT_PREFIX;
  if (!/^[a-z_][a-z0-9_]{0,63}$/i.test(prefix)) {
    throw refused("needs a prefix of up to 64 letters, digits and _, not beginning with a digit");
  }
  if (url.hostname === "") throw refused("needs a host, as in milvus://127.0.0.1:19530");
  const managed = url.protocol === "https:";
  return {
    host: `${url.hostname}:${url.port || (managed ? 443 : 19_530)}`,
    tls: url.protocol !== "milvus:",
    credentials: credentialsOf(url),
    database: decodeURIComponent(url.pathname.slice(1)) || "default",
    prefix,
    managed,
  };
}

function credentialsOf(url: URL): MilvusAddress["credentials"] {
  const username = decodeURIComponent(url.username);
  const password = decodeURIComponent(url.password);
  return username !== "" && password === "" ? { token: username } : { username, password };
}

function refused(complaint: string): ParleyError {
  return new ParleyError("invalid", `PARLEY_VECTORS ${complaint}`);
}
