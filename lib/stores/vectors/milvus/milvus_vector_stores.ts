import { abortable } from "../../../core/abort.ts";
import { compareText } from "../../../core/text.ts";
import { type Abortable, type Health, type ModelIdentity, modelKey } from "../../../core/types.ts";
import { MilvusVectors } from "./milvus_vectors.ts";
import { Milvus } from "./client.ts";
import { MilvusState } from "./state.ts";
import { MilvusTable } from "./table.ts";
import { parseMilvusUrl } from "./url.ts";
import { modelTag } from "../names.ts";
import type { VectorStore, VectorStores } from "../port.ts";

/** Vectors in Milvus: a model's collections have a prefix of their own, `<prefix>m<tag>_`. See {@link parseMilvusUrl}. */
export class MilvusVectorStores implements VectorStores {
  private readonly milvus: Milvus;
  private readonly stores = new Map<string, MilvusVectors>();

  /** Connects at the first call. `timeout_ms` is how long one call may take. */
  constructor({ url, timeout_ms = 5_000 }: { url: URL; timeout_ms?: number }) {
    this.milvus = new Milvus(parseMilvusUrl(url), timeout_ms);
  }

  /** A model whose collections are incomplete has no state and is left out. */
  async models({ signal }: Abortable = {}): Promise<ModelIdentity[]> {
    const { data } = await this.milvus.call(
      (client, timeout) => client.showCollections({ timeout }),
      { signal },
    );
    const { prefix } = this.milvus.address;
    const states = data.map(({ name }) => name).filter((name) =>
      name.startsWith(prefix) && /^m[0-9a-f]{12}_state$/.test(name.slice(prefix.length))
    );
    const read = (name: string) => new MilvusState(new MilvusTable(this.milvus, name)).now(signal);
    const models = (await Promise.all(states.map(read))).flatMap(({ model }) => model ?? []);
    return models.sort((a, b) => compareText(modelKey(a), modelKey(b)));
  }

  forModel({ model, signal }: { model: ModelIdentity } & Abortable): Promise<VectorStore> {
    return new Promise((resolve) => {
      signal?.throwIfAborted();
      resolve(this.storeOf(model));
    });
  }

  private storeOf(model: ModelIdentity): MilvusVectors {
    const key = modelKey(model);
    let store = this.stores.get(key);
    if (store === undefined) {
      const prefix = `${this.milvus.address.prefix}m${modelTag(model)}_`;
      this.stores.set(key, store = new MilvusVectors(model, { milvus: this.milvus, prefix }));
    }
    return store;
  }

  async drop({ model, signal }: { model: ModelIdentity } & Abortable): Promise<void> {
    await this.storeOf(model).drop({ signal });
  }

  async health({ signal }: Abortable = {}): Promise<Health> {
    await abortable(signal, () => this.milvus.version());
    const start = performance.now();
    const { version } = await this.milvus.call((client) => client.getVersion(), { signal });
    return { adapter: "milvus", version, latency_ms: performance.now() - start, bytes: null };
  }

  async close(): Promise<void> {
    await this.milvus.close();
  }
}

const CLEAR_TIMEOUT_MS = 30_000;

/** Drops the collections of all models, also incomplete ones. */
export async function clearMilvus({ url }: { url: URL }): Promise<void> {
  const milvus = new Milvus(parseMilvusUrl(url), CLEAR_TIMEOUT_MS);
  const { prefix } = milvus.address;
  try {
    const { data } = await milvus.call((client, timeout) => client.showCollections({ timeout }));
    for (const { name: collection_name } of data) {
      if (!collection_name.startsWith(prefix)) continue;
      if (!/^m[0-9a-f]{12}_/.test(collection_name.slice(prefix.length))) continue;
      await milvus.call((client, timeout) => client.dropCollection({ collection_name, timeout }));
    }
  } finally {
    await milvus.close();
  }
}
