// deno-lint-ignore-file require-await -- the port is asynchronous, node:sqlite is not
import { messageOf, ParleyError } from "../../../core/errors.ts";
import { compareText } from "../../../core/text.ts";
import {
  type Abortable,
  type Health,
  type HealthOptions,
  type ModelIdentity,
  modelKey,
} from "../../../core/types.ts";
import { Sqlite } from "../../engines/sqlite/sqlite.ts";
import { modelFile } from "../names.ts";
import type { VectorStore, VectorStores } from "../port.ts";
import { SqliteVectors } from "./sqlite_vectors.ts";
import { modelIn, REFILL, VectorFiles } from "./vector_files.ts";

interface OpenModel {
  readonly store: SqliteVectors;
  readonly files: VectorFiles;
}

interface SqliteVectorOptions {
  /** Whether a model without a file reads as one without rows; else it is `unavailable`. Default true. */
  readonly create?: boolean;
  /** Called once, before the folder is read. */
  readonly migrate?: () => void;
}

/** What to do about a damaged model that answers do not come from, once its file is moved away. */
const SKIP_MODEL = "continue without it: answers come from another model's vectors";

/** Embedded vectors: one folder, with a database and a folder of index files for each model. */
export class SqliteVectorStores implements VectorStores {
  private readonly byModel = new Map<string, OpenModel>();

  /** The model that `forModel` gave last: answers come from it. */
  private current: OpenModel | null = null;
  private readonly create: boolean;
  private migrate: (() => void) | undefined;

  /** The first write creates `folder`, which needs write permission for it. */
  constructor(private readonly folder: string, { create = true, migrate }: SqliteVectorOptions = {}) {
    this.create = create;
    this.migrate = migrate;
  }

  private migrateOnce(): void {
    this.migrate?.();
    this.migrate = undefined;
  }

  async models(
    { signal, ...options }: { log?: (line: string) => void } & HealthOptions = {},
  ): Promise<ModelIdentity[]> {
    signal?.throwIfAborted();
    this.migrateOnce();
    const models = databases(this.folder).flatMap((path) => this.modelOf(path, options) ?? []);
    return models.sort((a, b) => compareText(modelKey(a), modelKey(b)));
  }

  private modelOf(
    path: string,
    { log, thorough = false }: { log?: (line: string) => void; thorough?: boolean },
  ): ModelIdentity | null {
    if (path === this.current?.files.database) return modelIn(path);
    try {
      return modelIn(path, { refill: SKIP_MODEL, thorough });
    } catch (error) {
      if (!(error instanceof ParleyError)) throw error;
      log?.(error.message);
      return null;
    }
  }

  async forModel({ model, signal }: { model: ModelIdentity } & Abortable): Promise<VectorStore> {
    signal?.throwIfAborted();
    this.migrateOnce();
    this.current = this.openModel(model);
    for (const each of this.byModel.values()) if (each !== this.current) each.files.release();
    return this.current.store;
  }

  private openModel(model: ModelIdentity): OpenModel {
    const key = modelKey(model);
    let opened = this.byModel.get(key);
    if (opened === undefined) {
      const files = new VectorFiles(`${this.folder}/${modelFile(model)}`, model, this.create);
      this.byModel.set(key, opened = { store: new SqliteVectors(model, files), files });
    }
    return opened;
  }

  async drop({ model, signal }: { model: ModelIdentity } & Abortable): Promise<void> {
    signal?.throwIfAborted();
    this.openModel(model).files.remove();
  }

  async health(options: HealthOptions = {}): Promise<Health> {
    options.signal?.throwIfAborted();
    this.migrateOnce();
    const problems = [...this.byModel.values()].flatMap(({ files }) => files.problems());
    if (problems.length > 0) throw new ParleyError("unavailable", problems.join("; "));
    if (this.current !== null) {
      return { ...this.current.files.read().sql.health(options), bytes: sizeOf(this.folder) };
    }
    for (const path of databases(this.folder)) modelIn(path, options);
    const sql = new Sqlite({ path: ":memory:", migrations: [] });
    try {
      return { ...sql.health(), bytes: sizeOf(this.folder) };
    } finally {
      sql.close();
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.byModel.values()].map(({ files }) => files.close()));
  }
}

/** Bytes of a file, or of all files below a folder. Files that are removed meanwhile, such as old indexes, do not count. */
function sizeOf(path: string): number {
  try {
    const { isDirectory, size } = Deno.statSync(path);
    if (!isDirectory) return size;
    return [...Deno.readDirSync(path)].reduce((sum, { name }) => sum + sizeOf(`${path}/${name}`), 0);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}

function databases(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)].flatMap(({ name }) =>
      name.endsWith(".db") ? [`${folder}/${name}`] : []
    );
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    const sentence = `the folder ${folder} cannot be read (${messageOf(error)}): move it away and ${REFILL}`;
    throw new ParleyError("unavailable", sentence, { cause: error });
  }
}
