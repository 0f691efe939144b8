import { compareText } from "../../../core/text.ts";
import { type Abortable, type Health, type ModelIdentity, modelKey } from "../../../core/types.ts";
import { clearPostgres } from "../../engines/postgres/clear.ts";
import { Postgres } from "../../engines/postgres/postgres.ts";
import type { VectorStore, VectorStores } from "../port.ts";
import { type Build, dropBuilds } from "./builds.ts";
import { PostgresVectors } from "./postgres_vectors.ts";
import { VECTORS } from "./schema.ts";

/** Vectors in PostgreSQL 14 or newer with pgvector 0.8 or newer, those of all models in the same tables. */
export class PostgresVectorStores implements VectorStores {
  private readonly db: Postgres;
  private readonly stores = new Map<string, PostgresVectors>();

  /** Connects at the first call. `url` is as {@link Postgres} takes it. */
  constructor({ url }: { url: URL }) {
    this.db = new Postgres({ url, ...VECTORS });
  }

  async models(options: Abortable = {}): Promise<ModelIdentity[]> {
    const sql = "SELECT name, revision, dimension, pooling FROM vector_models";
    const models = await this.db.all<ModelIdentity>(sql, [], options);
    return models.sort((a, b) => compareText(modelKey(a), modelKey(b)));
  }

  forModel({ model, signal }: { model: ModelIdentity } & Abortable): Promise<VectorStore> {
    return new Promise((resolve) => {
      signal?.throwIfAborted();
      resolve(this.storeOf(model));
    });
  }

  private storeOf(model: ModelIdentity): PostgresVectors {
    const key = modelKey(model);
    let store = this.stores.get(key);
    if (store === undefined) this.stores.set(key, store = new PostgresVectors(model, this.db));
    return store;
  }

  async drop({ model, signal }: { model: ModelIdentity } & Abortable): Promise<void> {
    await this.storeOf(model).drop({ signal });
  }

  health(options: Abortable = {}): Promise<Health> {
    return this.db.health(options);
  }

  close(): Promise<void> {
    return this.db.close();
  }
}

/** Removes the vectors and builds of all models. */
export async function clearPostgresVectors({ url }: { url: URL }): Promise<void> {
  const db = new Postgres({ url, ...VECTORS });
  try {
    await db.write(async (session) => {
      const sql = "DELETE FROM vector_builds RETURNING build, entries, indexed";
      await dropBuilds(session, await session.all<Build>(sql), []);
    });
  } finally {
    await db.close();
  }
  await clearPostgres({ url, ...VECTORS });
}
