/** A secret, and the one origin that it may be sent to. */
export interface OriginKey {
  readonly secret: string;
  /** Scheme, host and port as `URL.origin` has them; null for none, so that the secret is sent nowhere. */
  readonly origin: string | null;
}

/** Whether a request to `url` is sent without the key, because that belongs to another origin. */
export function withholds(key: OriginKey | null, url: URL): boolean {
  return key !== null && key.origin !== url.origin;
}

/** The header that shows the key, for a request to the origin that it belongs to; none for any other. */
export function authorization(key: OriginKey | null, url: URL): Record<string, string> {
  return key === null || withholds(key, url) ? {} : { authorization: `Bearer ${key.secret}` };
}
