import { ParleyError } from "../../../core/errors.ts";

/** What a graph URL says: `neo4j+s://user:password@host:7687/database?namespace=name`. */
export interface Neo4jAddress {
  /** Scheme, host and port: the part of the address that may be shown. */
  readonly server: string;
  /** Null if the URL has no user, for servers without authentication. */
  readonly login: { readonly user: string; readonly password: string } | null;
  /** Null is the server's default database. */
  readonly database: string | null;
  readonly namespace: string;
}

/** The namespace of a URL that names none. */
const NAMESPACE = "parley";

/** Throws `invalid` for a URL that is wrong, without quoting its credentials. */
export function parseNeo4jUrl(url: URL): Neo4jAddress {
  const server = `${url.protocol}//${url.host}`;
  if (url.host === "") throw new ParleyError("invalid", `${server} names no host; ${FORM}`);
  if ([...url.searchParams.keys()].some((name) => name !== "namespace")) {
    throw new ParleyError("invalid", `${server} has an unknown parameter; ${FORM}`);
  }
  const [user, password, database] = [url.username, url.password, url.pathname.slice(1)].map(
    decodeURIComponent,
  );
  return {
    server,
    login: user ? { user, password: password ?? "" } : null,
    database: database || null,
    namespace: url.searchParams.get("namespace") || NAMESPACE,
  };
}

const FORM = "write neo4j://user:password@host:7687/database?namespace=name";
