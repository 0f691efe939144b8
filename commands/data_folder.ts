import { FILE_MODE, FOLDER_MODE } from "../lib/core/file_modes.ts";
import { SAMPLE_NAME } from "./sample.ts";

/** What Parley itself keeps in its data folder. */
const FILES = /^((documents|analytics|vectors|graph|runs)\.db(-wal|-shm)?|move\.json(\.part)?)$/;
const FOLDERS = new RegExp(
  `^(artifacts|backups|exports|indexes|models|vectors|restore\\.part|${SAMPLE_NAME}(\\.part)?|evaluate-\\d+)$`,
);
/** The mode bits of all but the owner. */
const OTHERS = 0o077;

/** Where `move` records how far it is. */
export function moveRecordPath({ data }: { readonly data: string }): string {
  return `${data}/move.json`;
}

/** Whether Parley keeps this entry of its data folder, by its name. */
export function isParleys({ name, isFile, isDirectory }: Deno.DirEntry): boolean {
  return isFile ? FILES.test(name) : isDirectory && FOLDERS.test(name);
}

/**
 * Removes the rights of other users from files of an earlier Parley in its data folder. The folder itself is changed only if
 * it contains no other files. Files of another user are not changed.
 */
export function tightenModes(data: string): void {
  if (Deno.build.os === "windows" || !mayChange(data)) return;
  let isOurs = true;
  for (const entry of entriesOf(data)) {
    const path = `${data}/${entry.name}`;
    if (!isParleys(entry)) isOurs = false;
    else if (entry.isFile) tighten(path, FILE_MODE);
    else tightenFolder(path);
  }
  if (isOurs) tighten(data, FOLDER_MODE);
}

/** Never prompts: `serve` over servers needs no permission on files. */
function mayChange(path: string): boolean {
  const granted = (name: "read" | "write") => Deno.permissions.querySync({ name, path }).state === "granted";
  return granted("read") && granted("write");
}

/** The folder is changed last, so a folder with the right mode has content with the right modes. */
function tightenFolder(folder: string): void {
  if (!isOpen(folder)) return;
  for (const { name, isFile, isDirectory } of entriesOf(folder)) {
    if (isDirectory) tightenFolder(`${folder}/${name}`);
    else if (isFile) tighten(`${folder}/${name}`, FILE_MODE);
  }
  tighten(folder, FOLDER_MODE);
}

function tighten(path: string, mode: number): void {
  unlessOutOfReach(() => {
    if (isOpen(path)) Deno.chmodSync(path, mode);
  });
}

function isOpen(path: string): boolean {
  return unlessOutOfReach(() => ((Deno.statSync(path).mode ?? 0) & OTHERS) !== 0) ?? false;
}

function entriesOf(folder: string): Deno.DirEntry[] {
  return unlessOutOfReach(() => [...Deno.readDirSync(folder)]) ?? [];
}

/** Null if the file is gone, as a log is once its database was closed, or another user's. */
function unlessOutOfReach<T>(body: () => T): T | null {
  try {
    return body();
  } catch (error) {
    const { NotFound, NotADirectory, PermissionDenied } = Deno.errors;
    if ([NotFound, NotADirectory, PermissionDenied].some((kind) => error instanceof kind)) return null;
    throw error;
  }
}
