import { backup as copyDatabase, DatabaseSync } from "../deps.ts";
import type { Config } from "../lib/config.ts";
import { ParleyError, reasonOf } from "../lib/core/errors.ts";
import { FILE_MODE, FOLDER_MODE } from "../lib/core/modes.ts";
import { removeFile } from "../lib/stores/disk.ts";
import { refuseDamagedLog, RESTORE } from "../lib/stores/sqlite_file.ts";
import { EXIT } from "./exit.ts";

/**
 * Copies a live data directory: databases by SQLite's online backup, one after the other, each followed by the index
 * files that it names, and reads each copy through. Returns the exit code: a database that is damaged is reported, and the
 * others are copied. A writer at work makes a copy start over, never half-written.
 */
export async function backup(config: Config, to: string | undefined): Promise<number> {
  const target = to ?? `${config.data}/backups/${new Date().toISOString().replace(/[:.]/g, "-")}`;
  const copying = new Copying();
  for (const folder of ["", "/vectors"]) await copying.databases(config.data + folder, target + folder);
  const { files, damaged } = copying;
  if (files + damaged.length === 0) throw new ParleyError("not_found", `there is no data in ${config.data}`);
  for (const sentence of damaged) console.error(`parley: ${sentence}`);
  console.log(
    `${files} files copied to ${target}; to ${RESTORE}`,
  );
  return damaged.length === 0 ? EXIT.ok : EXIT.failed;
}

class Copying {
  files = 0;
  /** What could not be copied, a sentence each. */
  readonly damaged: string[] = [];

  /** Index files of `NAME.db` are in the folder `NAME` beside it. */
  async databases(from: string, to: string): Promise<void> {
    for (const name of databasesIn(from)) {
      Deno.mkdirSync(to, { recursive: true, mode: FOLDER_MODE });
      if (!await this.database(`${from}/${name}`, `${to}/${name}`)) continue;
      const indexes = `/${name.replace(/\.db$/, "")}`;
      this.folder(from + indexes, to + indexes);
    }
  }

  private async database(from: string, to: string): Promise<boolean> {
    try {
      await copyOne(from, to);
    } catch (error) {
      for (const end of ["", "-wal", "-shm"]) removeFile(to + end);
      this.damaged.push(
        `${from} could not be copied (${reasonOf(error)}); \`deno task doctor\` says what to do`,
      );
      return false;
    }
    this.files++;
    return true;
  }

  /** An index that is replaced meanwhile, or cannot be read, is rebuilt from the copied rows when it is first used. */
  private folder(from: string, to: string): void {
    for (const name of indexFilesIn(from)) {
      Deno.mkdirSync(to, { recursive: true, mode: FOLDER_MODE });
      try {
        Deno.copyFileSync(`${from}/${name}`, `${to}/${name}`);
        Deno.chmodSync(`${to}/${name}`, FILE_MODE);
        this.files++;
      } catch (error) {
        const { NotFound, PermissionDenied } = Deno.errors;
        if (!(error instanceof NotFound || error instanceof PermissionDenied)) throw error;
      }
    }
  }
}

function databasesIn(data: string): string[] {
  try {
    return [...Deno.readDirSync(data)].filter(({ name }) => name.endsWith(".db")).map(({ name }) => name)
      .sort();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/** Index files without what is being written. */
function indexFilesIn(folder: string): string[] {
  try {
    const files = [...Deno.readDirSync(folder)].filter(({ isFile }) => isFile).map(({ name }) => name);
    return files.filter((name) => /\.(flat|usearch)$/.test(name));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/** Copies a database and reads the copy through; throws if it is no database, or damaged. */
async function copyOne(from: string, to: string): Promise<void> {
  refuseDamagedLog({ path: from });
  Deno.openSync(to, { write: true, create: true, truncate: true, mode: FILE_MODE }).close();
  const db = new DatabaseSync(from);
  try {
    await copyDatabase(db, to);
  } finally {
    db.close();
  }
  using copy = new DatabaseSync(to);
  const row = copy.prepare("PRAGMA quick_check(1)").get() as { quick_check: string };
  if (row.quick_check !== "ok") throw new ParleyError("unavailable", "it is damaged");
  if (Deno.statSync(to).size === 0) throw new ParleyError("unavailable", "it has no content");
}
