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

interface Held {
  readonly store: SqliteVectors;
  readonly files: VectorFiles;
}

interface SqliteVectorOptions {
  /** Whether a model without a file reads as one without rows; else it is `unavailable`. Default true. */
  readonly create?: boolean;
  /** Called before anything is looked for in the folder. */
  readonly adopt?: () => void;
}

/** What to do, with its file away, about a model that answers do not come from. */
const UNUSED = "continue without it: answers come from another model's vectors";

/** Embedded vectors: in one folder, a database and a folder of index files a model. */
export class SqliteVectorStores implements VectorStores {
  private readonly held = new Map<string, Held>();

  /** The model whose vectors were asked for last: those that answers are made from. */
  private asked: Held | null = null;
  private readonly create: boolean;
  private adopt: (() => void) | undefined;

  /** `folder` is made by the first write; writing needs write permission for it. */
  constructor(private readonly folder: string, { create = true, adopt }: SqliteVectorOptions = {}) {
    this.create = create;
    this.adopt = adopt;
  }

  private adoptOnce(): void {
    this.adopt?.();
    this.adopt = undefined;
  }

  async models(
    { signal, ...options }: { log?: (line: string) => void } & HealthOptions = {},
  ): Promise<ModelIdentity[]> {
    signal?.throwIfAborted();
    this.adoptOnce();
    const models = databases(this.folder).flatMap((path) => this.modelOf(path, options) ?? []);
    return models.sort((a, b) => compareText(modelKey(a), modelKey(b)));
  }

  private modelOf(
    path: string,
    { log, thorough = false }: { log?: (line: string) => void; thorough?: boolean },
  ): ModelIdentity | null {
    if (path === this.asked?.files.database) return modelIn(path);
    try {
      return modelIn(path, { refill: UNUSED, thorough });
    } catch (error) {
      if (!(error instanceof ParleyError)) throw error;
      log?.(error.message);
      return null;
    }
  }

  async forModel({ model, signal }: { model: ModelIdentity } & Abortable): Promise<VectorStore> {
    signal?.throwIfAborted();
    this.adoptOnce();
    this.asked = this.hold(model);
    for (const each of this.held.values()) if (each !== this.asked) each.files.release();
    return this.asked.store;
  }

  private hold(model: ModelIdentity): Held {
    const key = modelKey(model);
    let held = this.held.get(key);
    if (held === undefined) {
      const files = new VectorFiles(`${this.folder}/${modelFile(model)}`, model, this.create);
      this.held.set(key, held = { store: new SqliteVectors(model, files), files });
    }
    return held;
  }

  async drop({ model, signal }: { model: ModelIdentity } & Abortable): Promise<void> {
    signal?.throwIfAborted();
    this.hold(model).files.remove();
  }

  async health(options: HealthOptions = {}): Promise<Health> {
    options.signal?.throwIfAborted();
    this.adoptOnce();
    const problems = [...this.held.values()].flatMap(({ files }) => files.problems());
    if (problems.length > 0) throw new ParleyError("unavailable", problems.join("; "));
    if (this.asked !== null) {
      return { ...this.asked.files.read().sql.health(options), bytes: sizeOf(this.folder) };
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
    await Promise.all([...this.held.values()].map(({ files }) => files.close()));
  }
}

/** Bytes of a file, or of all below a folder. What goes meanwhile, as old indexes do, does not count. */
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
