import { MongoConnection, SCAN_MS } from "./connection.ts";

const COLLECTIONS = ["messages", "quarantine", "classifiers", "touched"];

/** Removes all documents of Parley's collections. The collections stay, since a process that has them open relies on their indexes. */
export async function clearMongo({ url }: { url: URL }): Promise<void> {
  const connection = new MongoConnection({ url, prepare: () => Promise.resolve() });
  try {
    for (const name of COLLECTIONS) {
      await connection.run((db) => db.collection(name).deleteMany({}), { ms: SCAN_MS });
    }
  } finally {
    await connection.close();
  }
}
