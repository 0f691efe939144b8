import { type Context, createHmac, loadCookies, LRUCache, timingSafeEqual } from "../../deps.ts";
import { sha256 } from "../../lib/core/hash.ts";
import type { ApiKey, Scope } from "../../lib/core/types.ts";
import type { SessionStore } from "../../lib/stores/runs/port.ts";
import { fingerprint, hashBytes, shortFingerprint } from "./auth.ts";
import { tryRead } from "./try_read.ts";

/** Who sees a page. */
export interface Session {
  /** Those of its key: `read` sees, `admin` acts as well. */
  readonly scopes: readonly Scope[];
  /** Is in every form of this session; no other site can read it. */
  readonly csrf: string;
  /** The short fingerprint of its key; null on an open service. */
  readonly key: string | null;
  /** False on an open service: there is nothing to log out of. */
  readonly signed_in: boolean;
}

const HOURS = 12;
const COOKIE = "parley_session";
/** Ended sessions that this process remembers. */
const MAX_ENDED = 10_000;

/**
 * A session is a cookie that names a key and is signed with a secret derived from the keys. It is valid for 12 hours, with
 * the same set of keys, until it is logged out, which is all that is stored. Without keys there is one open session.
 */
export class Sessions {
  private readonly secret: string;
  private readonly keysByFingerprint: ReadonlyMap<string, ApiKey>;
  private readonly ended = new LRUCache<string, true>({ max: MAX_ENDED });

  constructor(
    private readonly keys: readonly ApiKey[],
    private readonly now: () => number,
    private readonly store: SessionStore,
  ) {
    const seed = keys.length === 0 ? crypto.randomUUID() : JSON.stringify(keys.map(({ key }) => key));
    this.secret = sha256(`parley session 1 ${seed}`);
    this.keysByFingerprint = new Map(keys.map((key) => [fingerprint(key.key), key]));
  }

  /** Whether everything is allowed without a key. */
  get open(): boolean {
    return this.keys.length === 0;
  }

  /** The session of a request; null if the request has no session, or its session has ended. */
  async of(context: Context): Promise<Session | null> {
    if (this.open) return { scopes: ["admin"], csrf: this.token("open"), key: null, signed_in: false };
    const { value, name, until, id } = await this.cookie(context);
    const key = this.keysByFingerprint.get(name);
    if (key === undefined || until < this.now() || await this.isEnded(id)) return null;
    return { scopes: key.scopes, csrf: this.token(value), key: shortFingerprint(name), signed_in: true };
  }

  /** Starts a session for one of the keys; false for any other key. */
  async start(context: Context, text: string): Promise<boolean> {
    const key = this.match(text);
    if (key === undefined) return false;
    const { setSignedCookie } = await loadCookies();
    const value = `${fingerprint(key.key)}.${this.now() + HOURS * 3_600_000}.${crypto.randomUUID()}`;
    await setSignedCookie(context, cookieName(context), value, this.secret, {
      ...attributes(context),
      maxAge: HOURS * 3_600,
    });
    return true;
  }

  /** Ends the session of a request in every serving process. While the store is down it rejects and ends nothing. */
  async end(context: Context): Promise<void> {
    const { id, until } = await this.cookie(context);
    if (id !== "") {
      await this.store.endSession({ session_id: id, until, now: this.now() });
      this.ended.set(id, true);
    }
    const { deleteCookie } = await loadCookies();
    deleteCookie(context, cookieName(context), attributes(context));
  }

  /** The parts of a request's cookie; empty if it was not signed here. */
  private async cookie(
    context: Context,
  ): Promise<{ value: string; name: string; until: number; id: string }> {
    const { getSignedCookie } = await loadCookies();
    const value = await getSignedCookie(context, this.secret, cookieName(context)) || "";
    const [name = "", until = "0", id = ""] = value.split(".");
    return { value, name, until: Number(until), id };
  }

  /** While the store is down, only the sessions that this process remembers are refused: the pages must say what is down. */
  private async isEnded(session_id: string): Promise<boolean> {
    if (this.ended.has(session_id)) return true;
    const { value } = await tryRead(() => this.store.isSessionEnded({ session_id }));
    if (value) this.ended.set(session_id, true);
    return value ?? false;
  }

  /** Every key is compared, in constant time, so that a wrong one takes as long as a right one. */
  private match(text: string): ApiKey | undefined {
    const hash = hashBytes(text);
    return this.keys.filter(({ key }) => timingSafeEqual(hashBytes(key), hash))[0];
  }

  private token(session: string): string {
    return createHmac("sha256", this.secret).update(`csrf ${session}`).digest("hex");
  }
}

/** Whether a form carries this session's token. */
export function isOwn(session: Session, token: string): boolean {
  return timingSafeEqual(hashBytes(token), hashBytes(session.csrf));
}

/** Browsers accept the prefix `__Host-` over https only, for exactly this host and all its paths. */
function cookieName(context: Context): string {
  return isHttps(context) ? `__Host-${COOKIE}` : COOKIE;
}

function attributes(context: Context) {
  return { httpOnly: true, sameSite: "Strict", secure: isHttps(context), path: "/" } as const;
}

/** A proxy that ends TLS says so by a header. A client that forges it only makes its own cookie stricter. */
function isHttps(context: Context): boolean {
  return new URL(context.req.url).protocol === "https:" ||
    context.req.header("x-forwarded-proto") === "https";
}
