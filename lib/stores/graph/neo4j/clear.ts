import { Neo4jConnection } from "./connection.ts";

/** Nodes, each with its edges, that one transaction deletes. */
const BATCH = 1_000;
const DELETE = `
MATCH (n:User|Intent|Campaign|Conversation {namespace: $namespace})
WITH n LIMIT ${BATCH} DETACH DELETE n RETURN count(*) AS gone`;

/** Removes all nodes of the URL's namespace, with their edges. */
export async function clearNeo4j({ url }: { url: URL }): Promise<void> {
  const connection = new Neo4jConnection({ url });
  const { namespace } = connection.address;
  try {
    for (let gone = BATCH; gone === BATCH;) {
      const { records } = await connection.write((tx) => tx.run(DELETE, { namespace }));
      gone = Number(records[0]!.get("gone"));
    }
  } finally {
    await connection.close();
  }
}
