import { batches, paged } from "../core/batches.ts";
import { type ModelIdentity, modelKey, parseModelKey } from "../core/types.ts";
import type { ReleaseStore } from "../stores/analytics/port.ts";
import { type Collection, COLLECTIONS, type VectorStores } from "../stores/vectors/port.ts";
import type { Copied, Part } from "./part.ts";
import { tombstonePart } from "./tombstones.ts";

/** Vectors that are read and written at once. */
const PAGE = 200;

/** The collections of every model, then the indexes of the published version. */
export async function vectorParts(
  from: VectorStores,
  to: VectorStores,
  releases: Pick<ReleaseStore, "published">,
): Promise<Part[]> {
  const models = await from.models();
  const rows = models.flatMap((model) =>
    COLLECTIONS.map((collection): Part => ({
      role: "vectors",
      name: `${collection} of ${modelKey(model)}`,
      copy: (options) => copyRows(from, to, { model, collection, ...options }),
    }))
  );
  const tombstones = models.map((model) =>
    tombstonePart({
      role: "vectors",
      name: `tombstones of ${modelKey(model)}`,
      open: async () => ({
        from: (await from.forModel({ model })).tombstones,
        to: (await to.forModel({ model })).tombstones,
      }),
    })
  );
  const published = await releases.published();
  if (published === null) return [...rows, ...tombstones];
  const indexes: Part = {
    role: "vectors",
    name: `indexes of version ${published.version}`,
    async *copy({ signal }) {
      const store = await to.forModel({ model: parseModelKey(published.model), signal });
      const counts = await store.build({ version: published.version, signal });
      yield { rows: Object.values(counts).reduce((sum, count) => sum + count, 0), after: null };
    },
  };
  return [...rows, ...tombstones, indexes];
}

async function* copyRows(
  from: VectorStores,
  to: VectorStores,
  options: {
    model: ModelIdentity;
    collection: Collection;
    after: string | null;
    signal?: AbortSignal;
  },
): AsyncGenerator<Copied> {
  const { model, collection, after, signal } = options;
  const source = await from.forModel({ model, signal });
  const target = await to.forModel({ model, signal });
  const read = (after: string | null, limit: number) => source.page({ collection, after, limit, signal });
  for await (const rows of batches(paged(PAGE, ({ id }) => id, read, after), PAGE)) {
    await target.upsert({ collection, rows, signal });
    yield { rows: rows.length, after: rows.at(-1)!.id };
  }
}
