import { backup as copyDatabase, DatabaseSync } from "../deps.ts";
import type { Config } from "../lib/config.ts";
import { messageOf, ParleyError, reasonOf } from "../lib/core/errors.ts";
import { FILE_MODE } from "../lib/core/file_modes.ts";
import { absolute } from "../lib/core/parse_url.ts";
import { groupShared } from "../lib/core/shared_server.ts";
import { showUrl } from "../lib/core/show_url.ts";
import { modelKey } from "../lib/core/types.ts";
import { removeFile } from "../lib/stores/engines/disk.ts";
import { filesOf, openAnalytics, openVectors } from "../lib/stores/open.ts";
import { fileAt, refuseDamagedLog, RESTORE } from "../lib/stores/engines/sqlite/file.ts";
import { Skip } from "../lib/dag/types.ts";
import type { BackupOutput } from "../tasks/backup.ts";
import { EXIT, warn } from "./exit.ts";
import { checkDatabase, copyFile, entriesOf, makeFolderOf, sqliteUrl } from "./files.ts";
import { SAMPLE_NAME, sampleFolder } from "./sample.ts";

/**
 * The stores in an order that keeps their copies consistent while a run writes. Records of completed work are copied before its
 * results: tasks before their writes, the records of sources and of dirty users before the data derived from them. So no copy
 * refers to a row that another copy lacks; the next run repeats work that is not in the copies.
 */
const STORES = ["runs", "analytics", "documents", "vectors", "graph"] as const;
type Store = typeof STORES[number];

/** The tool that copies a server, by the scheme of its URL without TLS suffixes. */
const SERVER_TOOLS: Readonly<Record<string, string>> = {
  mongodb: "mongodump",
  postgres: "pg_dump",
  postgresql: "pg_dump",
  neo4j: "neo4j-admin database dump",
  bolt: "neo4j-admin database dump",
  milvus: "milvus-backup",
  milvuss: "milvus-backup",
};

/** What a copy has, and what it lacks. */
interface CopyResult {
  readonly target: string;
  readonly files: number;
  /** One sentence for each store that is damaged or missing. */
  readonly errors: readonly string[];
  readonly on_servers: Store[];
}

/**
 * Copies the embedded stores, wherever they are, with their index files, the artifacts and the sample, into a folder with the layout of a
 * data folder, and reads each database in full. Each database is copied at one instant, also while other processes write to it.
 * Throws `invalid` if the target is not empty.
 */
async function copyStores(config: Config, to: string | undefined): Promise<CopyResult> {
  const named = to ?? `${backupsOf(config)}/${new Date().toISOString().replace(/[:.]/g, "-")}`;
  const target = absolute(named, Deno.cwd()).replace(/(?<=.)\/+$/, "");
  refuseNonEmpty(target);
  // In the target itself, which may be a disk of its own.
  const unfinished = `${target}/${UNFINISHED_COPY}`;
  const copying = new BackupCopy(unfinished);
  for (const store of STORES) await copying.store(store, config[store]);
  if (copying.files > 0) await copying.findMissing(config);
  const remoteStores = STORES.filter((store) => filesOf(config[store]) === null);
  if (copying.files + copying.errors.length + remoteStores.length === 0) {
    throw new ParleyError("not_found", `there is no data in ${config.data}`);
  }
  if (config.artifacts.protocol === "file:") {
    copying.folder(decodeURIComponent(config.artifacts.pathname), "artifacts");
  }
  copying.folder(sampleFolder(config.data), SAMPLE_NAME);
  const { files, errors } = copying;
  if (files > 0) {
    for (const { name } of entriesOf(unfinished)) {
      Deno.renameSync(`${unfinished}/${name}`, `${target}/${name}`);
    }
    Deno.removeSync(unfinished);
  }
  return { target, files, errors, on_servers: remoteStores };
}

/**
 * Copies the embedded stores. Returns the exit code: `failed` if something is damaged or missing, else `partial` if some data are
 * on servers. Such stores are named, and all others are copied.
 */
export async function backup(config: Config, to: string | undefined): Promise<number> {
  const { target, files, errors, on_servers } = await copyStores(config, to);
  for (const sentence of errors) warn(sentence);
  if (files > 0) console.log(`${files} files copied to ${target}; to ${RESTORE}`);
  for (const stores of groupShared(on_servers, config.shared_stores, () => "not in the copy")) {
    warn(notIncluded(stores, config[stores[0]!]));
  }
  if (errors.length > 0) return EXIT.failed;
  return on_servers.length > 0 ? EXIT.partial : EXIT.ok;
}

/**
 * The same as a task of a run, which then removes old copies. Throws `unavailable` if something is damaged or missing; then none is
 * removed.
 */
export async function backUp(config: Config): Promise<BackupOutput> {
  if (STORES.every((store) => filesOf(config[store]) === null)) {
    throw new Skip("all stores are on servers, which their own tools copy");
  }
  const { files, errors, on_servers } = await copyStores(config, undefined);
  if (errors.length > 0) throw new ParleyError("unavailable", errors.join("; "));
  return { files, on_servers, removed: removeOldBackups(config) };
}

function backupsOf({ data }: Config): string {
  return `${data}/backups`;
}

/** Where a copy is while it is made. */
const UNFINISHED_COPY = "unfinished-copy";

/** Leaves the newest whole copies, and what is newer than the oldest of them. Folders with other names are not touched. */
function removeOldBackups(config: Config): number {
  const folder = backupsOf(config);
  const copies = entriesOf(folder).map(({ name }) => name).filter((name) =>
    /^\d{4}-\d\d-\d\dT[\d-]+Z$/.test(name)
  );
  const whole = copies.filter((name) => fileAt(`${folder}/${name}/${UNFINISHED_COPY}`) === null);
  const oldest = whole.at(-config.backup_count);
  const old = oldest === undefined ? [] : copies.filter((name) => name < oldest);
  for (const name of old) removeFile(`${folder}/${name}`);
  return old.length;
}

function notIncluded(stores: readonly Store[], url: URL): string {
  const tool = SERVER_TOOLS[url.protocol.replace(/(\+\w+)?:$/, "")];
  return `${stores.join(", ")}: on the server ${showUrl(url)}, not in the copy; copy it by ${
    tool ?? "the server's own tool"
  } ` +
    "while no run is in progress";
}

/** An earlier copy, or what an interrupted one left, would mix with this one. */
function refuseNonEmpty(target: string): void {
  if (orUnusable(target, () => entriesOf(target)).length === 0) return;
  throw new ParleyError("invalid", `${target} is not empty: name an empty or new folder`);
}

/** Throws `invalid` if a folder for the copy cannot be read or made. */
function orUnusable<T>(folder: string, use: () => T): T {
  try {
    return use();
  } catch (error) {
    const sentence = `${folder} cannot be a folder for the copy: ${messageOf(error)}`;
    throw new ParleyError("invalid", sentence, { cause: error });
  }
}

class BackupCopy {
  files = 0;
  /** The stores that could not be copied, one sentence each. */
  readonly errors: string[] = [];

  constructor(private readonly target: string) {}

  /** Nothing is copied of a server. */
  async store(store: Store, url: URL): Promise<void> {
    const files = filesOf(url);
    if (files === null) return;
    if (files.database !== files.folder) await this.database(files.database, `${store}.db`);
    if (store !== "vectors") return;
    for (const { name, isFile } of entriesOf(files.folder)) {
      if (!isFile || !name.endsWith(".db")) continue;
      if (!await this.database(`${files.folder}/${name}`, `vectors/${name}`)) continue;
      const indexes = name.replace(/\.db$/, "");
      // An index that is replaced meanwhile is rebuilt from the copied rows when it is first used.
      this.folder(`${files.folder}/${indexes}`, `vectors/${indexes}`);
    }
  }

  /** Whether the database was copied. One that is gone, as those of a model that is dropped meanwhile, is no fault of the copy. */
  private async database(path: string, name: string): Promise<boolean> {
    const to = this.targetPath(name);
    try {
      await copyDatabaseTo(to, path);
    } catch (error) {
      for (const end of ["", "-wal", "-shm"]) removeFile(to + end);
      if (fileAt(path) !== null) this.addError(path, error);
      return false;
    }
    this.files++;
    return true;
  }

  /** Copies a folder with all in it. A file that goes meanwhile is left out. */
  folder(folder: string, name: string): void {
    for (const entry of entriesOf(folder)) {
      const [path, copy] = [`${folder}/${entry.name}`, `${name}/${entry.name}`];
      if (entry.isDirectory) this.folder(path, copy);
      else if (entry.isFile && !UNFINISHED.test(entry.name)) this.file(path, copy);
    }
  }

  private file(path: string, name: string): void {
    const to = this.targetPath(name);
    try {
      copyFile(path, to);
      this.files++;
    } catch (error) {
      removeFile(to);
      if (fileAt(path) !== null) this.addError(path, error);
    }
  }

  private addError(path: string, error: unknown): void {
    const reason = reasonOf(error);
    this.errors.push(`${path} could not be copied (${reason}); \`deno task doctor\` says what to do`);
  }

  /** Adds a fault for each store that is not in the copy and should be, and for vectors that the data version is made of. */
  async findMissing(config: Config): Promise<void> {
    for (const store of STORES.filter((store) => store !== "vectors")) {
      const path = filesOf(config[store])?.database;
      if (path === undefined || fileAt(path) !== null) continue;
      this.errors.push(`${path} does not exist, so the copy lacks ${store}`);
    }
    const files = filesOf(config.vectors);
    if (files === null || fileAt(`${this.target}/analytics.db`) === null) return;
    const model = await publishedModel(sqliteUrl(`${this.target}/analytics.db`));
    if (model === null || this.errors.some((fault) => fault.startsWith(files.folder))) return;
    const vectors = await openVectors(sqliteUrl(`${this.target}/vectors.db`), { create: false });
    try {
      if ((await vectors.models()).some((identity) => modelKey(identity) === model)) return;
    } finally {
      await vectors.close();
    }
    this.errors.push(
      `the published vectors, by ${model}, are not in ${files.folder}, so they are not in the copy`,
    );
  }

  /** Where a file goes; its folder is made. */
  private targetPath(name: string): string {
    const path = `${this.target}/${name}`;
    orUnusable(this.target, () => makeFolderOf(path));
    return path;
  }
}

/** Files that are being written, by their names. */
const UNFINISHED = /^\.|\.part$/;

async function publishedModel(url: URL): Promise<string | null> {
  const analytics = await openAnalytics(url, { create: false });
  try {
    return (await analytics.published())?.model ?? null;
  } finally {
    await analytics.close();
  }
}

/** Copies a database at one instant, and reads the copy in full; throws if it is no database, or damaged. */
async function copyDatabaseTo(to: string, from: string): Promise<void> {
  refuseDamagedLog({ path: from });
  Deno.openSync(to, { write: true, create: true, truncate: true, mode: FILE_MODE }).close();
  // Read-only: a missing file is an error, and no empty one is created.
  const db = new DatabaseSync(from, { readOnly: true });
  try {
    // All pages in one step: between two steps a writer makes the copy start over.
    await copyDatabase(db, to, { rate: -1 });
  } finally {
    db.close();
  }
  checkDatabase(to);
  if (Deno.statSync(to).size === 0) throw new ParleyError("unavailable", "it has no content");
}
