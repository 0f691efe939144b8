import { type Context, createHash, createHmac, loadCookies, timingSafeEqual } from "../../deps.ts";
import type { ApiKey, Scope } from "../../lib/core/types.ts";

/** Who looks at a page. */
export interface Session {
  /** `read` sees, `admin` acts as well. */
  readonly scopes: readonly Scope[];
  /** Stands in every form that this session is shown; no other site can read it. */
  readonly csrf: string;
  /** False where the service is open, so that there is nothing to log out of. */
  readonly signed_in: boolean;
}

const HOURS = 12;
const COOKIE = "parley_session";

/**
 * Sessions without a table: a cookie signed with a secret that comes of the keys names the key that was shown, and holds for
 * 12 hours, for as long as that key exists, and for no other set of keys. Without keys everybody has the one open session.
 */
export class Sessions {
  private readonly secret: string;
  private readonly known: ReadonlyMap<string, ApiKey>;

  constructor(private readonly keys: readonly ApiKey[], private readonly now: () => number) {
    const seed = keys.length === 0 ? crypto.randomUUID() : JSON.stringify(keys.map(({ key }) => key));
    this.secret = createHash("sha256").update(`parley session 1 ${seed}`).digest("hex");
    this.known = new Map(keys.map((key) => [nameOf(key.key), key]));
  }

  /** Whether anybody may see and do everything. */
  get open(): boolean {
    return this.keys.length === 0;
  }

  /** The session of a request; null where there is none, or none any more. */
  async of(context: Context): Promise<Session | null> {
    if (this.open) return { scopes: ["read", "write", "admin"], csrf: this.token("open"), signed_in: false };
    const { getSignedCookie } = await loadCookies();
    const value = await getSignedCookie(context, this.secret, cookieName(context));
    const [name = "", until = "0"] = (value || "").split(".");
    const key = this.known.get(name);
    if (!value || key === undefined || Number(until) < this.now()) return null;
    return { scopes: key.scopes, csrf: this.token(value), signed_in: true };
  }

  /** Starts a session for whoever shows a key that can see the pages; false for any other. */
  async start(context: Context, given: string): Promise<boolean> {
    const key = this.match(given);
    if (key === undefined || !sees(key.scopes)) return false;
    const { setSignedCookie } = await loadCookies();
    const value = `${nameOf(key.key)}.${this.now() + HOURS * 3_600_000}.${crypto.randomUUID()}`;
    await setSignedCookie(context, cookieName(context), value, this.secret, {
      ...attributes(context),
      maxAge: HOURS * 3_600,
    });
    return true;
  }

  async end(context: Context): Promise<void> {
    const { deleteCookie } = await loadCookies();
    deleteCookie(context, cookieName(context), attributes(context));
  }

  /** Every key is compared, in constant time, so that a wrong one takes as long as a right one. */
  private match(given: string): ApiKey | undefined {
    const hash = sha256(given);
    return this.keys.filter(({ key }) => timingSafeEqual(sha256(key), hash))[0];
  }

  private token(session: string): string {
    return createHmac("sha256", this.secret).update(`csrf ${session}`).digest("hex");
  }
}

/** Whether these scopes let somebody look at the pages. */
export function sees(scopes: readonly Scope[]): boolean {
  return scopes.includes("read") || scopes.includes("admin");
}

/** Whether a session gives a scope; `admin` sees what `read` sees. */
export function allows(session: Session, scope: Scope): boolean {
  return session.scopes.includes(scope) || scope === "read" && sees(session.scopes);
}

/** Whether a form carries this session's token. */
export function isOwn(session: Session, token: string): boolean {
  return timingSafeEqual(sha256(token), sha256(session.csrf));
}

/** Browsers take a cookie with the prefix `__Host-` over https only, for this very host and the whole of it. */
function cookieName(context: Context): string {
  return isHttps(context) ? `__Host-${COOKIE}` : COOKIE;
}

function attributes(context: Context) {
  return { httpOnly: true, sameSite: "Strict", secure: isHttps(context), path: "/" } as const;
}

/** Behind a proxy that ends TLS its header says so; a client that lies there only makes its own cookie stricter. */
function isHttps(context: Context): boolean {
  return new URL(context.req.url).protocol === "https:" ||
    context.req.header("x-forwarded-proto") === "https";
}

function nameOf(key: string): string {
  return createHash("sha256").update(`parley key ${key}`).digest("hex").slice(0, 16);
}

function sha256(text: string): Uint8Array {
  return createHash("sha256").update(text).digest();
}
