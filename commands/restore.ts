import { basename, DatabaseSync } from "../deps.ts";
import type { Config } from "../lib/config.ts";
import { systemClock } from "../lib/core/clock.ts";
import { messageOf, ParleyError, reasonOf } from "../lib/core/errors.ts";
import { FOLDER_MODE } from "../lib/core/file_modes.ts";
import { absolute } from "../lib/core/parse_url.ts";
import { showUrl } from "../lib/core/show_url.ts";
import { counted } from "../lib/core/text.ts";
import { applyTombstones, readTombstones } from "../lib/privacy/apply_tombstones.ts";
import { eraseUsers, pendingErasures } from "../lib/privacy/erase_users.ts";
import { setPreferences } from "../lib/privacy/preferences.ts";
import { tombstonedStores, type UserStores } from "../lib/privacy/stores.ts";
import { removeFile } from "../lib/stores/engines/disk.ts";
import { fileAt, removeLog } from "../lib/stores/engines/sqlite/file.ts";
import {
  filesOf,
  openAnalytics,
  openCache,
  openDocuments,
  openGraph,
  openVectors,
} from "../lib/stores/open.ts";
import { isModelFile } from "../lib/stores/vectors/names.ts";
import { EXIT, warn } from "./exit.ts";
import { checkDatabase, copyFile, entriesOf, makeFolderOf, sqliteUrl } from "./files.ts";
import { runQueued } from "./run.ts";
import { SAMPLE_NAME } from "./sample.ts";
import { openAll } from "./services.ts";

/** The stores of a backup, in the order in which they are replaced. */
const STORES = ["documents", "vectors", "graph", "analytics", "runs"] as const;
type Store = typeof STORES[number];

/** Where a backup is copied and checked before it replaces anything, in the data folder. */
const STAGING = "restore.part";

/**
 * Replaces the embedded stores by those of a backup that `deno task backup` made. Users who were erased since the backup was made are
 * erased in it before it replaces anything, so that no process ever reads their rows, and who does not want personalisation now has
 * that wish in it. Repeating a restore that was interrupted
 * completes it.
 *
 * Returns the exit code: `partial` if some stores are on servers, which their own tools restore. Throws `conflict` while a process
 * uses a store, and `invalid` or `unavailable` for a backup that is incomplete or damaged; then nothing is changed.
 */
export async function restore(config: Config, from: string): Promise<number> {
  const source = absolute(from, Deno.cwd()).replace(/(?<=.)\/+$/, "");
  const embedded = STORES.filter((store) => filesOf(config[store]) !== null);
  const staging = `${config.data}/${STAGING}`;
  removeFile(staging);
  const staged = stage(config, { source, staging, embedded });
  for (const store of embedded) refuseInUse(config, store);
  const erased = await withStores(config, { create: false }, async (current) => {
    return await withStores(staged, { create: true }, async (restored) => {
      const users = await eraseAgain(current, restored);
      await keepWishes(current, restored);
      return users;
    });
  });
  replace(config, { staging, embedded });
  console.log(`${embedded.join(", ")} restored from ${source}.`);
  const servers = STORES.filter((store) => !embedded.includes(store));
  for (const store of servers) {
    console.error(
      `parley: ${store}: on the server ${
        showUrl(config[store])
      }: restore it by the server's own tool, then run ` +
        "`deno task user erase`, which erases again the users who were erased since",
    );
  }
  if (erased > 0) {
    console.log(
      `${counted(erased, "user")} erased since the backup was made: erased in it, too; copies follow.`,
    );
    const code = await runQueued(config, "erase", { json: false });
    if (code !== EXIT.ok) return code;
  }
  return servers.length > 0 ? EXIT.partial : EXIT.ok;
}

/** Copies a backup, and reads each copied database in full. Returns the configuration of the copies. */
function stage(
  config: Config,
  { source, staging, embedded }: { source: string; staging: string; embedded: readonly Store[] },
): Config {
  const staged: Record<string, URL> = {};
  for (const store of embedded) {
    const name = store === "vectors" ? "vectors" : `${store}.db`;
    if (fileAt(`${source}/${name}`) === null && store !== "vectors") {
      throw new ParleyError("invalid", `${source} is no whole backup: it has no ${name}`);
    }
    copy(`${source}/${name}`, `${staging}/${name}`);
    staged[store] = sqliteUrl(`${staging}/${store}.db`);
  }
  for (const name of ["artifacts", SAMPLE_NAME]) copy(`${source}/${name}`, `${staging}/${name}`);
  for (const path of databasesIn(staging)) refuseDamaged(path);
  return { ...config, ...staged };
}

/** Copies a file, or a folder with all in it; what does not exist is left out. */
function copy(from: string, to: string): void {
  const found = fileAt(from);
  if (found === null) return;
  if (found.folder) {
    Deno.mkdirSync(to, { recursive: true, mode: FOLDER_MODE });
    for (const { name } of entriesOf(from)) copy(`${from}/${name}`, `${to}/${name}`);
    return;
  }
  makeFolderOf(to);
  copyFile(from, to);
}

function databasesIn(folder: string): string[] {
  return entriesOf(folder).flatMap(({ name, isDirectory }) => {
    if (isDirectory && name === "vectors") return databasesIn(`${folder}/${name}`);
    return name.endsWith(".db") ? [`${folder}/${name}`] : [];
  });
}

function refuseDamaged(path: string): void {
  try {
    checkDatabase(path);
  } catch (error) {
    const sentence = `the backup's ${basename(path)} is damaged (${messageOf(error)}): take another`;
    throw new ParleyError("unavailable", sentence, { cause: error });
  }
}

/** Throws `conflict` if another process has a store open: its writes would be lost, or damage the restored file. */
function refuseInUse(config: Config, store: Store): void {
  const files = filesOf(config[store])!;
  const paths = store === "vectors" && fileAt(files.folder)?.folder
    ? databasesIn(files.folder)
    : [files.database];
  for (const path of paths) {
    if (fileAt(path) === null || fileAt(path)!.bytes === 0) continue;
    let mode: string;
    try {
      using db = new DatabaseSync(path);
      db.exec("PRAGMA busy_timeout = 0");
      // Needs the file for itself, and takes the log into it. The next process that opens it has a log again.
      mode = (db.prepare("PRAGMA journal_mode = DELETE").get() as { journal_mode: string }).journal_mode;
    } catch (error) {
      if (messageOf(error).includes("locked")) mode = "wal";
      else {
        // A damaged file is why one restores a backup.
        warn(`${path}: ${reasonOf(error)}; it is replaced`);
        continue;
      }
    }
    if (mode === "delete") continue;
    throw new ParleyError("conflict", `a process is using ${path}: stop Parley first`);
  }
}

/** Opens the stores with users. */
async function withStores<T>(
  config: Config,
  options: { create: boolean },
  body: (stores: UserStores) => Promise<T>,
): Promise<T> {
  await using opened = await openAll({
    documents: () => openDocuments(config.documents, options),
    analytics: () => openAnalytics(config.analytics, options),
    graph: () => openGraph(config.graph, options),
    vectors: () => openVectors(config.vectors, options),
  });
  return await body(opened.value);
}

/** Erases in restored stores the users who are erased in the current ones; returns how many users had rows. */
async function eraseAgain(current: UserStores, restored: UserStores): Promise<number> {
  const known = await knownTombstones(current);
  await keepSecret(current, restored, known);
  const pending = await orNone(() => pendingErasures(current.analytics));
  const cache = await openCache(new URL("memory:1mb"));
  const options = { stores: { ...restored, cache }, clock: systemClock, log: warn };
  try {
    const { users, foreign } = await applyTombstones({ ...options, known });
    if (foreign > 0) {
      throw new ParleyError(
        "mismatch",
        `${
          counted(foreign, "tombstone")
        } of the stores in use, or of the backup, cannot be applied, since the backup has another ` +
          "secret: it is of another installation",
      );
    }
    const user_ids = pending.map(({ user_id }) => user_id);
    if (user_ids.length > 0) await eraseUsers({ ...options, user_ids });
    return Math.max(users, (await pendingErasures(restored.analytics)).length);
  } finally {
    await cache.close();
  }
}

/** The tombstones of the stores that can be read: one that is damaged has those that the others have. */
async function knownTombstones(stores: UserStores): Promise<Set<string>> {
  const known = new Set<string>();
  for (const { tombstones } of await orNone(() => tombstonedStores(stores, { log: warn }))) {
    for (const hash of await orNone(() => readTombstones(tombstones))) known.add(hash);
  }
  return known;
}

const SECRETS = "secrets";

/** A backup from before the first erasure may lack the secret that the tombstones are keyed by. */
async function keepSecret(
  current: UserStores,
  restored: UserStores,
  known: ReadonlySet<string>,
): Promise<void> {
  if (known.size === 0) return;
  const read = { table: SECRETS, after: null };
  const pages = await Array.fromAsync(restored.analytics.tables.read(read));
  if (pages.length > 0) return;
  for (const { rows } of await orNone(() => Array.fromAsync(current.analytics.tables.read(read)))) {
    await restored.analytics.tables.restore({ table: SECRETS, rows });
  }
}

const OPTED_OUT = "opted_out";

/** Who does not want personalisation now does not want it in the restored stores either, whatever the backup says. */
async function keepWishes(current: UserStores, restored: UserStores): Promise<void> {
  const read = () => Array.fromAsync(current.analytics.tables.read({ table: OPTED_OUT, after: null }));
  for (const { rows } of await orNone(read)) {
    const user_ids = rows.map(({ user_id }) => String(user_id));
    const known = new Set(await restored.analytics.optedOut({ user_ids }));
    for (const user_id of user_ids) {
      if (known.has(user_id)) continue;
      const preferences = { personalisation: false };
      await setPreferences({ stores: restored, user_id, preferences, log: warn });
    }
  }
}

/** What a store gives; nothing if it does not exist, or is damaged. */
async function orNone<T>(read: () => Promise<T[]>): Promise<T[]> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof ParleyError && error.code === "unavailable") return [];
    throw error;
  }
}

/** Puts the checked copies in place of the stores. */
function replace(
  config: Config,
  { staging, embedded }: { staging: string; embedded: readonly Store[] },
): void {
  for (const store of embedded) {
    const { database, folder } = filesOf(config[store])!;
    if (store !== "vectors") {
      removeLog(database);
      move(`${staging}/${store}.db`, database);
      continue;
    }
    for (const { name } of entriesOf(folder)) if (isModelFile(name)) removeFile(`${folder}/${name}`);
    for (const { name } of entriesOf(`${staging}/vectors`)) {
      move(`${staging}/vectors/${name}`, `${folder}/${name}`);
    }
  }
  const folders = [[`${config.data}/${SAMPLE_NAME}`, SAMPLE_NAME]];
  if (config.artifacts.protocol === "file:") {
    folders.push([decodeURIComponent(config.artifacts.pathname), "artifacts"]);
  }
  for (const [folder = "", name] of folders) {
    removeFile(folder);
    if (fileAt(`${staging}/${name}`) !== null) move(`${staging}/${name}`, folder);
  }
  removeFile(staging);
}

/** Renames, or copies to another disk. A log of the copy is of no use: closing it took it in. */
function move(from: string, to: string): void {
  if (/-(wal|shm)$/.test(from)) return removeFile(from);
  makeFolderOf(to);
  try {
    Deno.renameSync(from, to);
  } catch (error) {
    if (!messageOf(error).includes("cross-device")) throw error;
    copy(from, `${to}.part`);
    Deno.renameSync(`${to}.part`, to);
  }
}
