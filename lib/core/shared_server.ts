/**
 * Groups stores to show: those on one server that are in the same state are one group, and each other one is its own.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { groupShared } from "./shared_server.ts";
 *
 * const state = (name: string) => name === "graph" ? "down" : "up";
 * const groups = groupShared(["vectors", "graph", "runs", "cache"], ["vectors", "graph", "runs"], state);
 * assert.deepEqual(groups, [["vectors", "runs"], ["graph"], ["cache"]]);
 * ```
 */
export function groupShared<Name extends string>(
  names: readonly Name[],
  shared: readonly string[],
  stateOf: (name: Name) => string,
): Name[][] {
  const groups = new Map<string, Name[]>();
  for (const name of names) {
    const key = JSON.stringify(shared.includes(name) ? [stateOf(name)] : name);
    groups.set(key, [...groups.get(key) ?? [], name]);
  }
  return [...groups.values()];
}
