import { type Context, createHash, createHmac, loadCookies, LRUCache, timingSafeEqual } from "../../deps.ts";
import type { ApiKey, Scope } from "../../lib/core/types.ts";
import type { SessionStore } from "../../lib/stores/runs/port.ts";
import { fingerprint, shortened } from "./auth.ts";
import { tryRead } from "./try_read.ts";

/** Who looks at a page. */
export interface Session {
  /** Those of its key: `read` sees, `admin` acts as well. */
  readonly scopes: readonly Scope[];
  /** Stands in every form that this session is shown; no other site can read it. */
  readonly csrf: string;
  /** The fingerprint of its key, short enough to be read; null where the service is open. */
  readonly key: string | null;
  /** False where the service is open, so that there is nothing to log out of. */
  readonly signed_in: boolean;
}

const HOURS = 12;
const COOKIE = "parley_session";
/** Ended sessions that this process remembers itself. */
const MAX_ENDED = 10_000;

/**
 * A cookie signed with a secret that comes of the keys names the key that was shown. It holds for 12 hours, for as long as that
 * key exists, for no other set of keys, and until it is logged out: that is all that is stored. Without keys every visitor has the
 * one open session.
 */
export class Sessions {
  private readonly secret: string;
  private readonly known: ReadonlyMap<string, ApiKey>;
  private readonly ended = new LRUCache<string, true>({ max: MAX_ENDED });

  constructor(
    private readonly keys: readonly ApiKey[],
    private readonly now: () => number,
    private readonly store: SessionStore,
  ) {
    const seed = keys.length === 0 ? crypto.randomUUID() : JSON.stringify(keys.map(({ key }) => key));
    this.secret = createHash("sha256").update(`parley session 1 ${seed}`).digest("hex");
    this.known = new Map(keys.map((key) => [fingerprint(key.key), key]));
  }

  /** Whether anybody may see and do everything. */
  get open(): boolean {
    return this.keys.length === 0;
  }

  /** The session of a request; null where there is none, or none any more. */
  async of(context: Context): Promise<Session | null> {
    if (this.open) return { scopes: ["admin"], csrf: this.token("open"), key: null, signed_in: false };
    const { value, name, until, id } = await this.cookie(context);
    const key = this.known.get(name);
    if (key === undefined || until < this.now() || await this.isEnded(id)) return null;
    return { scopes: key.scopes, csrf: this.token(value), key: shortened(name), signed_in: true };
  }

  /** Starts a session for whoever shows one of the keys; false for any other. */
  async start(context: Context, given: string): Promise<boolean> {
    const key = this.match(given);
    if (key === undefined) return false;
    const { setSignedCookie } = await loadCookies();
    const value = `${fingerprint(key.key)}.${this.now() + HOURS * 3_600_000}.${crypto.randomUUID()}`;
    await setSignedCookie(context, cookieName(context), value, this.secret, {
      ...attributes(context),
      maxAge: HOURS * 3_600,
    });
    return true;
  }

  /** Ends the session of a request for every process that serves; rejects, and ends nothing, while the store is down. */
  async end(context: Context): Promise<void> {
    const { id, until } = await this.cookie(context);
    if (id !== "") {
      await this.store.endSession({ session_id: id, until, now: this.now() });
      this.ended.set(id, true);
    }
    const { deleteCookie } = await loadCookies();
    deleteCookie(context, cookieName(context), attributes(context));
  }

  /** The parts of a request's cookie; empty without one that was signed here. */
  private async cookie(
    context: Context,
  ): Promise<{ value: string; name: string; until: number; id: string }> {
    const { getSignedCookie } = await loadCookies();
    const value = await getSignedCookie(context, this.secret, cookieName(context)) || "";
    const [name = "", until = "0", id = ""] = value.split(".");
    return { value, name, until: Number(until), id };
  }

  /** While the store does not answer, only what this process knows has ended: pages must be there to say what is down. */
  private async isEnded(session_id: string): Promise<boolean> {
    if (this.ended.has(session_id)) return true;
    const { value } = await tryRead(() => this.store.isSessionEnded({ session_id }));
    if (value) this.ended.set(session_id, true);
    return value ?? false;
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

function sha256(text: string): Uint8Array {
  return createHash("sha256").update(text).digest();
}
