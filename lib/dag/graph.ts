/** The part of a task that the graph is made of. */
interface Node {
  readonly id: string;
  readonly needs?: readonly string[];
}

type Fault = (what: string) => Error;

/**
 * Checks needs and cycles; returns the ids that depend on each id.
 *
 * @throws what `fault` makes of a sentence, for a need that does not exist and for a cycle.
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

/** Ids in an order in which each stands after all it needs; ties keep the order given. Nodes on a cycle are missing. */
export function topological(nodes: readonly Node[]): string[] {
  const open = new Map(nodes.map(({ id, needs = [] }) => [id, new Set(needs).size]));
  const dependents = Map.groupBy(
    nodes.flatMap(({ id, needs = [] }) => [...new Set(needs)].map((need) => ({ id, need }))),
    ({ need }) => need,
  );
  const order = nodes.filter(({ id }) => open.get(id) === 0).map(({ id }) => id);
  for (const id of order) {
    for (const { id: next } of dependents.get(id) ?? []) {
      const left = (open.get(next) ?? 0) - 1;
      open.set(next, left);
      if (left === 0) order.push(next);
    }
  }
  return order;
}

/** One cycle, as the path that comes back to where it began. Only called where there is one. */
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

/** The ids reachable from `from` over `edges`, itself included. */
export function reachable(from: readonly string[], edges: (id: string) => readonly string[]): Set<string> {
  const seen = new Set(from);
  for (const id of seen) for (const next of edges(id)) seen.add(next);
  return seen;
}

/**
 * Ids by depth: each level needs only what stands in levels before it.
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
