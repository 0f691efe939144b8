import { Milvus } from "./client.ts";
import { parseMilvusUrl } from "./url.ts";

const TIMEOUT_MS = 30_000;

/** Drops the collections of all models, also of one that is only half made. */
export async function clearMilvus({ url }: { url: URL }): Promise<void> {
  const milvus = new Milvus(parseMilvusUrl(url), TIMEOUT_MS);
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
