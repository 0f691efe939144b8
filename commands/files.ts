import { DatabaseSync } from "../deps.ts";
import { ParleyError } from "../lib/core/errors.ts";
import { FILE_MODE, FOLDER_MODE } from "../lib/core/file_modes.ts";
import { compareText } from "../lib/core/text.ts";

/** The entries of a folder in the order of their names; none if it does not exist. */
export function entriesOf(folder: string): Deno.DirEntry[] {
  try {
    return [...Deno.readDirSync(folder)].sort((a, b) => compareText(a.name, b.name));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

export function makeFolderOf(path: string): void {
  Deno.mkdirSync(path.replace(/\/[^/]+$/, ""), { recursive: true, mode: FOLDER_MODE });
}

/** Copies a file with its times, since artifacts are kept for so many days from when they were written. */
export function copyFile(from: string, to: string): void {
  Deno.copyFileSync(from, to);
  Deno.chmodSync(to, FILE_MODE);
  const { atime, mtime } = Deno.statSync(from);
  Deno.utimeSync(to, atime ?? new Date(), mtime ?? new Date());
}

/** The URL of an embedded store. */
export function sqliteUrl(path: string): URL {
  return new URL(`sqlite:${path.split("/").map(encodeURIComponent).join("/")}`);
}

/** Reads a database in full; throws, in SQLite's words, if it is damaged or no database. */
export function checkDatabase(path: string): void {
  using db = new DatabaseSync(path);
  const { quick_check } = db.prepare("PRAGMA quick_check(1)").get() as { quick_check: string };
  if (quick_check !== "ok") throw new ParleyError("unavailable", quick_check);
}
