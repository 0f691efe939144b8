import { ParleyError } from "../../../core/errors.ts";

/** Where a PostgreSQL store is. */
export interface PostgresAddress {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  readonly schema: string;
  readonly ssl: false | { readonly rejectUnauthorized: boolean };
}

const DEFAULT_SCHEMA = "parley";
const PARAMETERS = ["schema", "sslmode"];

/** libpq's modes. Those that fall back to plain text are left out on purpose. */
const SSL_MODES: Readonly<Record<string, PostgresAddress["ssl"]>> = {
  disable: false,
  require: { rejectUnauthorized: false },
  "verify-full": { rejectUnauthorized: true },
};

/**
 * Reads `postgres://user:password@host:5432/database?schema=parley&sslmode=verify-full`. Without a schema it is
 * `parley`; without an SSL mode nothing is encrypted. Throws `invalid`, never with the password.
 */
export function parsePostgresUrl(url: URL): PostgresAddress {
  if ([...url.searchParams.keys()].some((name) => !PARAMETERS.includes(name))) {
    throw wrong(`has an unknown parameter; known are ${PARAMETERS.join(" and ")}`);
  }
  const [user, password, database] = [url.username, url.password, url.pathname.slice(1)].map(
    decodeURIComponent,
  );
  if (!user || !database || url.hostname === "") {
    throw wrong("lacks a part: write postgres://user:password@host:5432/database");
  }
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  const port = url.port === "" ? 5_432 : Number(url.port);
  return { host, port, user, password: password ?? "", database, schema: schemaOf(url), ssl: sslOf(url) };
}

function schemaOf(url: URL): string {
  const schema = url.searchParams.get("schema") ?? DEFAULT_SCHEMA;
  if (/^[a-z_][a-z0-9_]{0,62}$/.test(schema)) return schema;
  throw wrong("has a schema whose name is not plain: use lower-case letters, digits and underscores");
}

function sslOf(url: URL): PostgresAddress["ssl"] {
  const ssl = SSL_MODES[url.searchParams.get("sslmode") ?? "disable"];
  if (ssl !== undefined) return ssl;
  throw wrong(`has an sslmode that is not one of ${Object.keys(SSL_MODES).join(", ")}`);
}

function wrong(what: string): ParleyError {
  return new ParleyError("invalid", `the PostgreSQL URL ${what}`);
}
