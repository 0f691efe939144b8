import { backup as copyDatabase, DatabaseSync } from "../deps.ts";
import type { Config } from "../lib/config.ts";
import { ParleyError } from "../lib/core/errors.ts";

/**
 * Copies a live data directory: databases by SQLite's online backup, one after the other, each followed by the index
 * files that it names. Returns the exit code. A writer at work makes a copy start over, never half-written.
 */
export async function backup(config: Config, to: string | undefined): Promise<number> {
  const target = to ?? `${config.data}/backups/${new Date().toISOString().replace(/[:.]/g, "-")}`;
  let files = 0;
  for (const folder of ["", "/vectors"]) files += await copyDatabases(config.data + folder, target + folder);
  if (files === 0) throw new ParleyError("not_found", `there is no data in ${config.data}`);
  console.log(
    `${files} files copied to ${target}; to restore, stop Parley and put them in an empty PARLEY_DATA`,
  );
  return 0;
}

/** Index files of `NAME.db` are in the folder `NAME` beside it. */
async function copyDatabases(from: string, to: string): Promise<number> {
  let files = 0;
  for (const name of databases(from)) {
    Deno.mkdirSync(to, { recursive: true });
    await copyOne(`${from}/${name}`, `${to}/${name}`);
    const indexes = `/${name.replace(/\.db$/, "")}`;
    files += 1 + copyFolder(from + indexes, to + indexes);
  }
  return files;
}

function databases(data: string): string[] {
  try {
    return [...Deno.readDirSync(data)].filter(({ name }) => name.endsWith(".db")).map(({ name }) => name)
      .sort();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

async function copyOne(from: string, to: string): Promise<void> {
  const db = new DatabaseSync(from);
  try {
    await copyDatabase(db, to);
  } finally {
    db.close();
  }
}

function copyFolder(from: string, to: string): number {
  let files = 0;
  try {
    for (const { name, isFile } of Deno.readDirSync(from)) {
      if (!isFile) continue;
      Deno.mkdirSync(to, { recursive: true });
      Deno.copyFileSync(`${from}/${name}`, `${to}/${name}`);
      files++;
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return files;
}
