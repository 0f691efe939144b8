import { type Context, createHash, timingSafeEqual } from "../../deps.ts";
import { sha256 } from "../../lib/core/hash.ts";
import { allows, type ApiKey, type Scope } from "../../lib/core/types.ts";
import { HttpError } from "./problem.ts";

/**
 * The short fingerprint of a request's key, null on an open service. Throws 401 or 403 if the key does not give the scope.
 */
export type Authorize = (context: Context, scope: Scope) => string | null;

/**
 * Checks bearer keys against these. Without keys everything is open, which is for development on loopback. Both sides are
 * hashed to equal length, and every key is compared in constant time.
 */
export function createAuthorize(keys: readonly ApiKey[]): Authorize {
  if (keys.length === 0) return () => null;
  const known = keys.map(({ key, scopes }) => ({
    hash: hashBytes(key),
    scopes,
    id: shortFingerprint(fingerprint(key)),
  }));
  return (context, scope) => {
    const given = hashBytes(bearer(context.req.header("authorization")));
    const matching = known.filter(({ hash }) => timingSafeEqual(hash, given));
    if (matching.length === 0) throw unauthorized("no API key of this service was given");
    const allowed = matching.find(({ scopes }) => allows(scopes, scope));
    if (allowed !== undefined) return allowed.id;
    throw new HttpError(403, "denied", `this API key lacks the scope ${scope}`);
  };
}

/** Identifies a key and reveals nothing of it. */
export function fingerprint(key: string): string {
  return sha256(`parley key ${key}`).slice(0, 16);
}

/** A fingerprint as people see it. */
export function shortFingerprint(fingerprint: string): string {
  return fingerprint.slice(0, 8);
}

function bearer(authorization: string | undefined): string {
  const key = /^bearer +(\S+) *$/i.exec(authorization ?? "")?.[1];
  if (key !== undefined) return key;
  throw unauthorized("an API key is needed: send the header `Authorization: Bearer KEY`");
}

function unauthorized(detail: string): HttpError {
  return new HttpError(401, "denied", detail, { "www-authenticate": 'Bearer realm="parley"' });
}

/** For a comparison in constant time, which needs equal lengths. */
export function hashBytes(text: string): Uint8Array {
  return createHash("sha256").update(text).digest();
}
