import { asSourceError, FILE_EXTENSIONS, SourceError } from "./source.ts";

/** Files of an inbox that are offered at most: the last by name, as names often hold a date. */
const MAX_FILES = 1_000;

/**
 * The paths of the sources right in a folder, in order; links and sub-folders are left out. Empty if there is no such folder;
 * throws a {@link SourceError} if it cannot be read.
 */
export async function inboxFiles(folder: string): Promise<string[]> {
  const names: string[] = [];
  try {
    for await (const { name, isFile } of Deno.readDir(folder)) {
      if (isFile && !name.startsWith(".") && FILE_EXTENSIONS.test(name)) names.push(name);
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw asSourceError(folder, error);
  }
  return names.sort().slice(-MAX_FILES).map((name) => `${folder}/${name}`);
}

/**
 * Throws a {@link SourceError} unless an open file is in the folder itself, without a link on the way. It is compared as it
 * is open: a name in the folder that is exchanged for a link, at any moment, leads nowhere else.
 */
export async function refuseOutside(
  file: Deno.FsFile,
  { uri, folder }: { uri: string; folder: string },
): Promise<void> {
  const entry = `${await Deno.realPath(folder)}${uri.slice(folder.length)}`;
  const [fileInfo, entryInfo, real] = await Promise.all([file.stat(), Deno.lstat(entry), Deno.realPath(uri)]);
  const isSame = fileInfo.ino !== null && fileInfo.ino === entryInfo.ino && fileInfo.dev === entryInfo.dev;
  if (isSame && real === entry) return;
  throw linkInInbox(uri);
}

export function linkInInbox(uri: string): SourceError {
  return new SourceError("denied", uri, "is a link, and links in PARLEY_INBOX are not followed");
}
