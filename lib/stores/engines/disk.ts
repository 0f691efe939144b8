import { messageOf, ParleyError } from "../../core/errors.ts";

/** The messages of SQLite and the system about a full disk, quota or file (ENOSPC, EDQUOT, EFBIG); neither reliably gives a code. */
const REFUSED = /database or disk is full|disk I\/O error|\(os error (?:27|28|122)\)/;

/** `unavailable`, with what to do, if the disk under `path` refused a write; any other error as it is. */
export function diskError(error: unknown, path: string): unknown {
  const reason = messageOf(error);
  if (error instanceof ParleyError || !REFUSED.test(reason)) return error;
  return new ParleyError(
    "unavailable",
    `${path} could not be written (${reason}): make room on its disk, then try again`,
    { cause: error },
  );
}

/** Removes the file or folder of this name, if it exists. */
export function removeFile(path: string): void {
  try {
    Deno.removeSync(path, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
