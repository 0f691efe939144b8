const CONTESTED = /[\ud7ff\ue000-\uffff]/g;

/**
 * A text whose order in Neo4j is the order of `text` by code point. Neo4j compares by UTF-16 unit or by UTF-8 byte, as
 * the plan of the moment has it, and the two differ on U+E000..U+FFFF beside what is above. Those get U+D7FF before
 * them, which is below every surrogate, so that both comparisons agree. Null where `text` needs no change.
 */
export function sortKey(text: string): string | null {
  const key = text.replace(CONTESTED, (unit) => `\ud7ff${unit}`);
  return key === text ? null : key;
}
