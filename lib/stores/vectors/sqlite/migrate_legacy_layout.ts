import { ParleyError } from "../../../core/errors.ts";
import { FOLDER_MODE } from "../../../core/file_modes.ts";
import { fileAt } from "../../engines/sqlite/file.ts";
import { modelFile } from "../names.ts";
import { modelIn } from "./vector_files.ts";

/**
 * Moves vectors from the earlier layout, one model in `vectors.db` with the folder `indexes` next to it, to the current
 * one. Throws `conflict` if another process still has them open.
 */
export function migrateLegacyLayout(options: { database: string; indexes: string; folder: string }): void {
  if (fileAt(options.database) === null) return;
  const model = modelIn(options.database);
  if (model === null) return;
  if (fileAt(`${options.database}-wal`) !== null) {
    throw new ParleyError(
      "conflict",
      `${options.database} is in use by an older Parley: stop it, so that it can move`,
    );
  }
  const path = `${options.folder}/${modelFile(model)}`;
  Deno.mkdirSync(options.folder, { recursive: true, mode: FOLDER_MODE });
  if (fileAt(options.indexes) !== null) Deno.renameSync(options.indexes, path);
  Deno.renameSync(options.database, `${path}.db`);
}
