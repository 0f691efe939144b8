import type { Config } from "../lib/config.ts";
import { DAY_MS, iso, systemClock } from "../lib/core/clock.ts";
import { ParleyError } from "../lib/core/errors.ts";
import { showUrl } from "../lib/core/show_url.ts";
import type { Role } from "../lib/move/part.ts";
import { isModelFile } from "../lib/stores/vectors/names.ts";
import { removeFile } from "../lib/stores/engines/disk.ts";
import { localUrl } from "../lib/core/parse_url.ts";
import { clearServer, filesOf, openArtifacts, openVectors } from "../lib/stores/open.ts";
import { isParleys } from "./data_folder.ts";
import { EXIT, warn } from "./exit.ts";
import { entriesOf } from "./files.ts";

/** Where Parley stores data, by setting. Answers are removed first and the record of runs last, so it can report the rest. */
const STORES = ["cache", "graph", "vectors", "documents", "analytics", "runs"] as const;
type Store = typeof STORES[number];

/**
 * Takes everything out of every store: removes what Parley keeps on servers, the files of embedded stores wherever they are, and
 * Parley's files in the data folder, including backups and fetched models. Sources and files of others stay. Returns the exit
 * code: `failed` if something could not be removed, which is named.
 */
export async function resetAll(config: Config, confirmed: boolean): Promise<number> {
  const servers = STORES.filter((store) => isServer(config[store]));
  const unused = unusedDatabases(config);
  const folder = unused.length === 0
    ? config.data
    : `${config.data} (also ${unused.join(", ")}, which no setting names any more)`;
  if (!confirmed && !isConfirmed(config, servers, [folder])) return EXIT.failed;
  const failed = await clearServers(config, servers);
  if (filesOf(config.vectors)?.folder !== `${config.data}/vectors`) await removeModels(config.vectors);
  for (const store of STORES) removeDatabase(config[store]);
  if (config.artifacts.href !== localUrl("file", `${config.data}/artifacts`).href) {
    await removeArtifacts(config.artifacts);
  }
  const foreign = removeFolder(config.data);
  const exception = foreign.length === 0
    ? ""
    : `, except for files that are not Parley's: ${foreign.join(", ")}`;
  console.log(`${config.data} is empty${exception}.`);
  return failed === 0 ? EXIT.ok : EXIT.failed;
}

/** Databases in the data folder of stores that are elsewhere now: after a move they are the source. */
function unusedDatabases(config: Config): string[] {
  const used = new Set(STORES.flatMap((store) => filesOf(config[store])?.database ?? []));
  return entriesOf(config.data).filter((entry) => isParleys(entry) && entry.name.endsWith(".db"))
    .map(({ name }) => name).filter((name) => !used.has(`${config.data}/${name}`)).sort();
}

/**
 * Takes everything out of these stores and the cache, and out of nothing else: to empty the target of a move, whose source may be in
 * the same data folder. Returns the exit code as {@link resetAll}.
 */
export async function resetStores(
  config: Config,
  roles: readonly Role[],
  confirmed: boolean,
): Promise<number> {
  const stores = STORES.filter((store) => store === "cache" || roles.includes(store));
  const [servers, files] = [
    stores.filter((store) => isServer(config[store])),
    stores.filter((store) => filesOf(config[store])),
  ];
  if (!confirmed && !isConfirmed(config, [...servers, ...files])) return EXIT.failed;
  let failed = await clearServers(config, servers);
  for (const store of files) {
    const isLeft = store === "vectors" && !await removeModels(config.vectors);
    removeDatabase(config[store]);
    if (isLeft) failed++;
    else console.log(`${store}: nothing is left on ${showUrl(config[store])}`);
  }
  return failed === 0 ? EXIT.ok : EXIT.failed;
}

function isConfirmed(config: Config, stores: readonly Store[], others: readonly string[] = []): boolean {
  const targets = [...others, ...stores.map((store) => `${store} on ${showUrl(config[store])}`)].join(", ");
  if (confirm(`Delete all data of Parley in ${targets}?`)) return true;
  warn(`nothing is deleted: to delete all data of Parley in ${targets}, pass --yes, or answer y`);
  return false;
}

/** Returns how many could not be cleared. */
async function clearServers(config: Config, servers: readonly Store[]): Promise<number> {
  let failed = 0;
  for (const store of servers) {
    if (await isCleared(store, config[store])) {
      console.log(`${store}: nothing is left on ${showUrl(config[store])}`);
    } else failed++;
  }
  return failed;
}

function isServer(url: URL): boolean {
  return filesOf(url) === null && url.protocol !== "memory:";
}

async function isCleared(store: Store, url: URL): Promise<boolean> {
  try {
    await clearServer[store](url);
    return true;
  } catch (error) {
    if (!(error instanceof ParleyError)) throw error;
    warn(`${store}: not removed from ${showUrl(url)}: ${error.message}`);
    return false;
  }
}

/**
 * A folder may contain other files, so Parley's files are listed by the stores. A damaged model is named and stays: then this is
 * false.
 */
async function removeModels(url: URL): Promise<boolean> {
  if (filesOf(url) === null) return true;
  const vectors = await openVectors(url, { create: false });
  let isComplete = true;
  const log = (line: string) => {
    isComplete = false;
    warn(line);
  };
  try {
    for (const model of await vectors.models({ log })) await vectors.drop({ model });
  } finally {
    await vectors.close();
  }
  return isComplete;
}

async function removeArtifacts(url: URL): Promise<void> {
  const artifacts = await openArtifacts(url);
  try {
    await artifacts.prune({ before: iso(systemClock.now() + DAY_MS) });
  } finally {
    await artifacts.close();
  }
}

function removeDatabase(url: URL): void {
  const files = filesOf(url);
  if (files === null || files.database === files.folder) return;
  for (const end of ["", "-wal", "-shm"]) removeFile(files.database + end);
}

/** The files that stay, because they are not Parley's. */
function removeFolder(data: string): string[] {
  const foreign: string[] = [];
  for (const entry of entriesOf(data)) {
    if (!isParleys(entry)) foreign.push(entry.name);
    else if (entry.name === "vectors") foreign.push(...removeVectors(data));
    else removeFile(`${data}/${entry.name}`);
  }
  return foreign;
}

/** Removes the files of all models, also damaged ones, and the folder if it has no others, which are returned. */
function removeVectors(data: string): string[] {
  const folder = `${data}/vectors`;
  const foreign: string[] = [];
  for (const { name } of entriesOf(folder)) {
    if (isModelFile(name)) removeFile(`${folder}/${name}`);
    else foreign.push(name);
  }
  if (foreign.length === 0) removeFile(folder);
  return foreign.map((name) => `vectors/${name}`);
}
