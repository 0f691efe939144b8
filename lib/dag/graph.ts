interface Node {
  readonly id: string;
  readonly needs?: readonly string[];
}

type Fault = (message: string) => Error;

/**
 * Checks needs and cycles; returns the ids that depend on each id.
 *
 * @throws the error that `fault` returns, for a need that does not exist and for a cycle.
 */
export function checkGraph(nodes: readonly Node[], fault: Fault): Map<string, string[]> {
  const dependents = new Map<string, string[]>(nodes.map(({ id }) => [id, []]));
  for (const { id, needs = [] } of nodes) {
    for (const need of new Set(needs)) {
      const list = dependents.get(need);
      if (list === undefined) throw fault(`task "${id}" needs "${need}", which does not exist`);
      list.push(id);
    }
  }
  if (topological(nodes).length < nodes.length) throw fault(`a cycle: ${findCycle(nodes).join(" → ")}`);
  return dependents;
}

/** Ids in topological order; ties keep the order of the input. Nodes on a cycle are missing. */
export function topological(nodes: readonly Node[]): string[] {
  const open = new Map(nodes.map(({ id, needs = [] }) => [id, new Set(needs).size]));
  const dependents = Map.groupBy(
    nodes.flatMap(({ id, needs = [] }) => [...new Set(needs)].map((need) => ({ id, need }))),
    ({ need }) => need,
  );
  const order = nodes.filter(({ id }) => open.get(id) === 0).map(({ id }) => id);
  for (const id of order) {
    for (const { id: next } of dependents.get(id) ?? []) {
      const remaining = (open.get(next) ?? 0) - 1;
      open.set(next, remaining);
      if (remaining === 0) order.push(next);
    }
  }
  return order;
}

/** One cycle, as a path that ends where it begins. Call it only if there is one. */
function findCycle(nodes: readonly Node[]): string[] {
  const sorted = new Set(topological(nodes));
  const needs = new Map(nodes.map((node) => [node.id, node.needs ?? []]));
  const path: string[] = [];
  let at = nodes.find(({ id }) => !sorted.has(id))?.id;
  while (at !== undefined && !path.includes(at)) {
    path.push(at);
    at = needs.get(at)?.find((need) => !sorted.has(need));
  }
  return at === undefined ? path : [...path.slice(path.indexOf(at)), at].reverse();
}

/** The ids reachable from `roots` over `edges`, the roots included. */
export function reachable(roots: readonly string[], edges: (id: string) => readonly string[]): Set<string> {
  const ids = new Set(roots);
  for (const id of ids) for (const next of edges(id)) ids.add(next);
  return ids;
}

/**
 * Ids by depth: each level needs only ids of levels before it.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { levels } from "./graph.ts";
 *
 * const nodes = [{ id: "load" }, { id: "clean", needs: ["load"] }, { id: "count", needs: ["load"] }];
 * assert.deepEqual(levels(nodes), [["load"], ["clean", "count"]]);
 * ```
 */
export function levels(nodes: readonly Node[]): string[][] {
  const needs = new Map(nodes.map((node) => [node.id, node.needs ?? []]));
  const depth = new Map<string, number>();
  const result: string[][] = [];
  for (const id of topological(nodes)) {
    const at = Math.max(-1, ...(needs.get(id) ?? []).map((need) => depth.get(need) ?? 0)) + 1;
    depth.set(id, at);
    (result[at] ??= []).push(id);
  }
  return result;
}
