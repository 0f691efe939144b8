import { messageOf, ParleyError } from "../lib/core/errors.ts";

/** The text of a file that a setting names. Throws `invalid` with a sentence that names the setting if it cannot be read. */
export async function readSettingFile(
  { path, setting, noun }: { path: string; setting: string; noun: string },
): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) {
      throw new ParleyError("invalid", `the ${noun} of ${setting} cannot be read: ${messageOf(error)}`, {
        cause: error,
      });
    }
    throw new ParleyError("invalid", `there is no ${noun} ${path}: correct ${setting}, or unset it`);
  }
}
