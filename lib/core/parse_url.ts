/** A path as seen from `cwd`; `-`, which is standard input, stays. */
export function absolute(path: string, cwd: string): string {
  return path === "-" || isAbsolute(path) ? path : `${cwd}/${path.replace(/^\.\//, "")}`;
}

function isAbsolute(path: string): boolean {
  return path.startsWith("/") || /^[A-Za-z]:[\\/]/.test(path);
}

/** What may be a folder or a model of a hub, which shows when it is opened. */
const EITHER = /^onnx:[A-Za-z0-9][\w.-]*\/[A-Za-z0-9][\w.-]*(\?.*)?$/;

/** A model's folder and its parameters. The folder is taken as it is, so a `?` before anything else is part of its name. */
const MODEL_FOLDER = /^(.+?)(\?(?:dtype|revision)=.*)?$/s;

/**
 * Parses `scheme:rest`; a relative path after the scheme is seen from `cwd`. What it returns can be decoded. What is wrong is
 * added to the problems, after `name`.
 */
export function parseUrl(name: string, text: string, cwd: string, problems: string[]): URL {
  const local = EITHER.test(text) ? null : /^(sqlite|onnx|file):(?!\/\/[^/])(.+)$/s.exec(text);
  const url = URL.parse(local === null ? hostsIn(text) : localText(local[1]!, local[2]!, cwd));
  const problem = urlProblem(text, url);
  if (url !== null && problem === null) return url;
  problems.push(`${name} ${problem}`);
  return new URL("invalid:");
}

/** The URL of a path on this machine, whatever characters are in it: decoding its pathname gives the path. */
export function localUrl(scheme: string, path: string): URL {
  return new URL(`${scheme}:${escapePath(path)}`);
}

function escapePath(path: string): string {
  return encodeURI(path).replace(/[?#]/g, encodeURIComponent);
}

/** What was written after a local scheme, with the escapes that it lacks. In the path of a file a `%` begins an escape. */
function localText(scheme: string, rest: string, cwd: string): string {
  const base = isAbsolute(rest) ? "" : `${escapePath(cwd)}/`;
  const path = rest.replace(/^\.\//, "");
  if (scheme !== "onnx") return `${scheme}:${base}${path.replace(/[?#\\]/g, encodeURIComponent)}`;
  const [, folder = "", parameters = ""] = MODEL_FOLDER.exec(path) ?? [];
  return `${scheme}:${base}${escapePath(folder)}${parameters}`;
}

/** The hosts of a MongoDB replica set without the usual port: a URL can hold only one port. */
function hostsIn(text: string): string {
  return text.startsWith("mongodb://") ? text.replaceAll(/:27017(?=,[^@/?#]*(?:[/?#]|$))/g, "") : text;
}

/** Where an `@` after a host is no login's: in names of models, as parameters and as Cloudflare's paths have them. */
const AT_OF_MODEL =
  /(?<=[?&](?:model|revision|query_prefix|document_prefix)=)[^&#]*|(?<=\/)@(?:cf|hf)(?=\/)/g;

/** Whether a login ends too early: an `@` comes after what parses as the host, so part of a secret is in the host or path. */
function isCutShort(text: string, url: URL | null): boolean {
  return [text, url?.href ?? ""].some((form) =>
    /^[a-z0-9+.-]+:\/\/[^/?#]+[/?#].*@/i.test(form.replaceAll(AT_OF_MODEL, ""))
  );
}

/** Whether a URL holds a login, whole or cut short. */
export function holdsLogin(text: string): boolean {
  const url = URL.parse(text);
  return isCutShort(text, url) || (url !== null && url.username + url.password !== "");
}

/** What is wrong with a URL, without quoting it: it may hold a password. */
function urlProblem(text: string, url: URL | null): string | null {
  if (isCutShort(text, url)) {
    return "has a user, a password or a key with / or ? or # in it: write them as %2F, %3F and %23 (and an @ after the " +
      "host as %40)";
  }
  if (url === null && /^mongodb:\/\/[^/?#]*,/.test(text)) {
    return "names several hosts with ports other than 27017: name one and ?replicaSet=, by which the others are " +
      "found, or write mongodb+srv://";
  }
  if (url === null) return "is not a URL; it looks like sqlite:./file.db or scheme://host:port";
  return isDecodable(url) ? null : "holds a % that starts no escape: write it as %25";
}

function isDecodable({ username, password, pathname }: URL): boolean {
  try {
    decodeURIComponent([username, password, pathname].join("/"));
    return true;
  } catch {
    return false;
  }
}
