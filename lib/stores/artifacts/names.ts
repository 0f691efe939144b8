import { join, relative } from "../../../deps.ts";
import { ParleyError } from "../../core/errors.ts";

const SCHEME = "artifact:";

/** The URI of `run/task/file`: the same on every machine. */
export function uriOf(name: string): string {
  return SCHEME + keyOf(name);
}

/** `run/task/file` with each part escaped. */
export function keyOf(name: string): string {
  return segmentsOf(name).map(escapeSegment).join("/");
}

/** What the keys of a run's artifacts begin with. */
export function runKeyOf(run_id: string): string {
  if (run_id === "") throw new ParleyError("invalid", "a run id is not empty");
  return `${escapeSegment(run_id)}/`;
}

/** The URI of an artifact, given its key. */
export function uriOfKey(key: string): string {
  return SCHEME + key;
}

/** The URI of a file in the folder of artifacts. */
export function uriAt(folder: string, path: string): string {
  return uriOfKey(relative(folder, path).replaceAll("\\", "/"));
}

/** The path of `run/task/file` in a folder. */
export function pathOf(folder: string, name: string): string {
  return join(folder, keyOf(name));
}

/** The path of a run's artifacts in a folder. */
export function runPathOf(folder: string, run_id: string): string {
  return join(folder, runKeyOf(run_id)).slice(0, -1);
}

/** The `run/task/file` of a URI. */
export function nameOf(uri: string): string {
  try {
    if (uri.startsWith(SCHEME)) return uri.slice(SCHEME.length).split("/").map(decodeURIComponent).join("/");
  } catch { /* it holds a broken escape */ }
  throw new ParleyError("invalid", `${uri} names no artifact of this store: expected ${SCHEME}run/task/file`);
}

/** A file name for any text. A leading dot is escaped too, so no file is hidden and `..` is no parent. */
function escapeSegment(segment: string): string {
  return encodeURIComponent(segment.toWellFormed()).replace(/^\./, "%2E");
}

function segmentsOf(name: string): string[] {
  const segments = name.split("/");
  if (segments.length === 3 && segments.every((segment) => segment !== "")) return segments;
  throw new ParleyError("invalid", `an artifact is named run/task/file, not ${name}`);
}
