import { z } from "../deps.ts";
import { type Config, loadConfig } from "../lib/config.ts";
import { systemClock } from "../lib/core/clock.ts";
import { ParleyError } from "../lib/core/errors.ts";
import { FILE_MODE, FOLDER_MODE } from "../lib/core/file_modes.ts";
import { absolute } from "../lib/core/parse_url.ts";
import { showUrl } from "../lib/core/show_url.ts";
import { readEnvironment } from "../lib/environment.ts";
import { filledRole, move, type MovedRole, MoveState, NOT_BEGUN, refuseInUse } from "../lib/move/move.ts";
import { type Role, ROLES, type Stores } from "../lib/move/part.ts";
import { removeFile } from "../lib/stores/engines/disk.ts";
import { fileAt } from "../lib/stores/engines/sqlite/file.ts";
import {
  openAnalytics,
  openDocuments,
  openGraph,
  type OpenOptions,
  openRuns,
  openVectors,
} from "../lib/stores/open.ts";
import { moveRecordPath } from "./data_folder.ts";
import { announceStop, EXIT, shutdownSignal } from "./exit.ts";
import { openAll, type Opened } from "./services.ts";
import { StatusLine } from "./status_line.ts";
import { table } from "./table.ts";

interface MoveCommandOptions {
  readonly from?: string;
  readonly to: string;
  readonly json: boolean;
  /** All settings but those of the stores count at both places. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

const STORE_SETTINGS = ["STORES", "DOCUMENTS", "VECTORS", "GRAPH", "ANALYTICS", "RUNS"].map((name) =>
  `PARLEY_${name}`
);

/** How often a line without a terminal says how far a part is, in milliseconds. */
const PLAIN_EVERY_MS = 5_000;

const POSTGRES = /^postgres(ql)?:/i;

/**
 * Copies all data to other stores and compares them: `to` and `from` are `embedded`, the URL of a PostgreSQL for all roles, or a
 * file of settings like `.env`; without `from`, the stores in use. A role that has the same URL at both places is left out. The
 * source is not changed. Where an interrupted move continues is written to `move.json` in the data folder. Returns the exit
 * code: `failed` if the contents differ.
 */
export async function moveStores(config: Config, options: MoveCommandOptions): Promise<number> {
  const source = options.from === undefined ? config : placeOf(options.from, options);
  const target = placeOf(options.to, options);
  const roles = ROLES.filter((role) => source[role].href !== target[role].href);
  if (roles.length === 0) throw new ParleyError("invalid", "--from and --to name the same stores");
  const places = roles.map((role) => `${role}: ${showUrl(source[role])} to ${showUrl(target[role])}`);
  const record = new MoveRecord(moveRecordPath(config), places);
  const { signal, dispose } = shutdownSignal();
  const progress = new StatusLine(PLAIN_EVERY_MS);
  announceStop(
    signal,
    () => "the rows being copied are stored first; the same command continues there",
    (line) => progress.note(line),
  );
  await using opened = new AsyncDisposableStack();
  opened.defer(dispose);
  const open = async (place: Config, how: OpenOptions) =>
    opened.adopt(await openStores(place, how), (stores) => stores.close()).value;
  const from = await open(source, { create: false });
  const to = await open(target, { create: true });
  await refuseInUse(from, {
    now: systemClock.now(),
    remedy: "let it end with `deno task pipeline work` first",
  });
  const begun = record.read();
  if (begun === null) refuseFilled(await filledRole(to, roles), roles);
  for (const place of places) progress.note(place);
  try {
    const moved = await move({
      ...{ from, to, roles, signal, state: begun ?? NOT_BEGUN },
      onProgress: (state) => {
        record.write(state);
        if (state.part !== null) progress.show(`${state.part}: ${state.rows.toLocaleString("en")} rows`);
      },
    });
    progress.clear();
    record.remove();
    return report(moved, options);
  } catch (error) {
    if (!signal.aborted) throw error;
    return EXIT.interrupted;
  }
}

/** Rows of another history would be mixed with those that are moved. */
function refuseFilled(role: Role | null, roles: readonly Role[]): void {
  if (role === null) return;
  throw new ParleyError(
    "conflict",
    `the target has ${role} already: empty it by ${emptying(roles)}, or name another one`,
  );
}

/** These stores alone: others may be the source's too, and `--all` would remove a source in the data folder. */
function emptying(roles: readonly Role[]): string {
  return `\`deno task reset --stores ${roles.join(",")}\` with its settings`;
}

/** The configuration with the stores of another place. */
function placeOf(place: string, { environment }: MoveCommandOptions): Config {
  const rest = Object.entries(environment).filter(([name]) => !STORE_SETTINGS.includes(name));
  return loadConfig({ ...Object.fromEntries(rest), ...settingsOf(place) });
}

function settingsOf(place: string): Record<string, string | undefined> {
  if (place === "embedded") return {};
  if (POSTGRES.test(place)) return { PARLEY_STORES: place };
  const file = absolute(place, Deno.cwd());
  const settings = Object.entries(readEnvironment({ file, process: {} }))
    // The folder of embedded stores that have no setting of their own.
    .filter(([name]) => STORE_SETTINGS.includes(name) || name === "PARLEY_DATA");
  if (settings.length > 0) return Object.fromEntries(settings);
  throw new ParleyError(
    "invalid",
    // A URL may have a password.
    `${
      /[:@]/.test(place) ? "this" : place
    } is not a place to move between: write embedded, postgres://…, or a file with one of ${
      [...STORE_SETTINGS, "PARLEY_DATA"].join(", ")
    }`,
  );
}

function openStores(
  config: Pick<Config, "analytics" | "documents" | "graph" | "runs" | "vectors">,
  options: OpenOptions,
): Promise<Opened<Stores>> {
  return openAll({
    documents: () => openDocuments(config.documents, options),
    vectors: () => openVectors(config.vectors, options),
    graph: () => openGraph(config.graph, options),
    analytics: () => openAnalytics(config.analytics, options),
    runs: () => openRuns(config.runs, options),
  });
}

const RecordFile = z.object({ places: z.array(z.string()), state: MoveState });

/** How far a move is, on disk. */
class MoveRecord {
  constructor(private readonly path: string, private readonly places: readonly string[]) {}

  /** Null if no move is in progress. Throws `conflict` if it is another one, or cannot be read. */
  read(): MoveState | null {
    if (fileAt(this.path) === null) return null;
    const remedy =
      `delete ${this.path} and empty the target of that move by \`deno task reset --stores\` with its settings`;
    try {
      const { places, state } = RecordFile.parse(JSON.parse(Deno.readTextFileSync(this.path)));
      if (JSON.stringify(places) === JSON.stringify(this.places)) return state;
    } catch (error) {
      throw new ParleyError("conflict", `a move was interrupted, and its record cannot be read: ${remedy}`, {
        cause: error,
      });
    }
    throw new ParleyError("conflict", `another move was interrupted: continue that one, or ${remedy}`);
  }

  write(state: MoveState): void {
    Deno.mkdirSync(this.path.replace(/\/[^/]*$/, ""), { recursive: true, mode: FOLDER_MODE });
    const partial = `${this.path}.part`;
    Deno.writeTextFileSync(partial, JSON.stringify({ places: this.places, state }), { mode: FILE_MODE });
    Deno.renameSync(partial, this.path);
  }

  remove(): void {
    removeFile(this.path);
  }
}

function report(moved: readonly MovedRole[], { to, json }: MoveCommandOptions): number {
  const isEqual = ({ from, to }: MovedRole) => from === to;
  const body = moved.map((role) => [
    role.role,
    isEqual(role) ? "equal" : "differs",
    role.rows.toLocaleString("en"),
  ]);
  console.log(
    json ? JSON.stringify({ roles: moved }) : table(["role", "content", "rows"], body, 2).join("\n"),
  );
  if (!moved.every(isEqual)) {
    console.error(
      "parley: the contents differ: something wrote to the source meanwhile. Empty the target by " +
        `${emptying(moved.map(({ role }) => role))}, and move again`,
    );
    return EXIT.failed;
  }
  const place = to === "embedded"
    ? `unset ${STORE_SETTINGS.join(", ")}`
    : POSTGRES.test(to)
    ? "set PARLEY_STORES to this URL"
    : `use the settings of ${to}`;
  console.error(`All is at both places. To use the new one, ${place}, and start Parley.`);
  return EXIT.ok;
}
