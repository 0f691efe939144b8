import { ParleyError } from "../../../core/errors.ts";
import { FOLDER_MODE } from "../../../core/modes.ts";
import { modelFile } from "../names.ts";
import { modelIn } from "./vector_files.ts";

/**
 * Moves vectors of the earlier layout, one model's in `vectors.db` with the folder `indexes` beside it, to where that
 * model's now belong. `conflict` where another process still has them open.
 */
export function adoptFormer(o: { database: string; indexes: string; folder: string }): void {
  if (!exists(o.database)) return;
  const model = modelIn(o.database);
  if (model === null) return;
  if (exists(`${o.database}-wal`)) {
    throw new ParleyError(
      "conflict",
      `${o.database} is in use by an older Parley: stop it, so that it can move`,
    );
  }
  const path = `${o.folder}/${modelFile(model)}`;
  Deno.mkdirSync(o.folder, { recursive: true, mode: FOLDER_MODE });
  if (exists(o.indexes)) Deno.renameSync(o.indexes, path);
  Deno.renameSync(o.database, `${path}.db`);
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
