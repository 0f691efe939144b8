import { loadDagre, LRUCache } from "../../deps.ts";

const { graphlib, layout } = await loadDagre();

export interface GraphNode {
  readonly id: string;
  readonly label: string;
  /** A second line, smaller. */
  readonly note?: string;
  /** The colour class, such as `good`. Default `plain`. */
  readonly look?: string;
  /** Written before the label. */
  readonly sign?: string;
  /** For a node that is not a task. */
  readonly round?: boolean;
  readonly href?: string;
}
export interface GraphEdge {
  readonly from: string;
  readonly to: string;
}

const HEIGHT = 44;
const MARGIN = 6;
/** Has room for every state as a note, so that a graph does not move while states change. */
const MIN_WIDTH = 118;
const PER_LETTER = 7.2;
const MAX_LETTERS = 34;
/** A graph up to this width shrinks to the page; a wider one scrolls. */
const FITS = 1_500;

/**
 * A directed graph from left to right, laid out by dagre. `label` says what it shows: a screen reader reads the nodes
 * and not the lines.
 */
export function Graph(
  { label, nodes, edges }: { label: string; nodes: readonly GraphNode[]; edges: readonly GraphEdge[] },
) {
  const { boxes, lines, width, top, bottom } = cachedLayout(nodes, edges);
  const height = bottom - top;
  return (
    <div class={`scroll graph${width <= FITS ? " fit" : ""}`} role="region" aria-label={label} tabindex={0}>
      <svg width={width} height={height} viewBox={`0 ${top} ${width} ${height}`}>
        <g aria-hidden="true">{lines.map((d) => <path class="edge" d={d} />)}</g>
        {nodes.map((node) => <Box node={node} box={boxes.get(node.id)!} />)}
      </svg>
    </div>
  );
}

interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
}

function Box({ node, box: { x, y, width } }: { node: GraphNode; box: Box }) {
  const { look = "plain", sign, label, note, round, href } = node;
  const left = x - width / 2;
  const shape = (
    <g class={`node is-${look}`} transform={`translate(${left},${y - HEIGHT / 2})`}>
      <title>{[label, note].filter(Boolean).join(": ")}</title>
      <rect width={width} height={HEIGHT} rx={round ? HEIGHT / 2 : 7} />
      <text
        x={width / 2}
        y={note === undefined ? HEIGHT / 2 : 17}
        text-anchor="middle"
        dominant-baseline="central"
      >
        {sign !== undefined && <tspan class="sign">{`${sign} `}</tspan>}
        {truncated(label, MAX_LETTERS)}
      </text>
      {note !== undefined && (
        <text class="note" x={width / 2} y="32" text-anchor="middle" dominant-baseline="central">
          {truncated(note, MAX_LETTERS + 4)}
        </text>
      )}
    </g>
  );
  return href === undefined ? shape : <a href={href}>{shape}</a>;
}

interface GraphLayout {
  readonly boxes: ReadonlyMap<string, Box>;
  readonly lines: readonly string[];
  readonly width: number;
  readonly top: number;
  readonly bottom: number;
}

/** Layouts by what they depend on: dagre takes some 50 ms for a dag of 50 tasks, of which only the colours change. */
const layouts = new LRUCache<string, GraphLayout>({ max: 100 });

function cachedLayout(nodes: readonly GraphNode[], edges: readonly GraphEdge[]): GraphLayout {
  const key = JSON.stringify([nodes.map((node) => [node.id, widthOf(node)]), edges]);
  const result = layouts.get(key) ?? layoutOf(nodes, edges);
  layouts.set(key, result);
  return result;
}

function layoutOf(nodes: readonly GraphNode[], edges: readonly GraphEdge[]): GraphLayout {
  const graph = new graphlib.Graph();
  graph.setGraph({ rankdir: "LR", nodesep: 16, ranksep: 40, marginx: MARGIN, marginy: MARGIN });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const node of nodes) graph.setNode(node.id, { width: widthOf(node), height: HEIGHT });
  for (const { from, to } of edges) graph.setEdge(from, to);
  layout(graph);
  const boxes = new Map(nodes.map(({ id }): [string, Box] => [id, graph.node(id) as unknown as Box]));
  const lines = graph.edges().map((edge) => {
    const [from, to] = [boxes.get(edge.v)!, boxes.get(edge.w)!];
    const between = (graph.edge(edge).points as { x: number; y: number }[]).slice(1, -1);
    const start = { x: from.x + from.width / 2, y: from.y };
    const end = { x: to.x - to.width / 2, y: to.y };
    return curve([start, ...between.filter(({ x }) => x > start.x && x < end.x), end]);
  });
  const { width = 0, height = 0 } = graph.graph() as { width?: number; height?: number };
  // dagre counts boxes only, and long lines run outside of them.
  const ys = graph.edges().flatMap((edge) => (graph.edge(edge).points as { y: number }[]).map(({ y }) => y));
  const top = Math.floor(Math.min(0, ...ys.map((y) => y - MARGIN)));
  const bottom = Math.ceil(Math.max(height, ...ys.map((y) => y + MARGIN)));
  return { boxes, lines, width: Math.ceil(width), top, bottom };
}

function widthOf({ label, note = "", sign = "", round = false }: GraphNode): number {
  const letters = Math.max(
    Math.min(label.length, MAX_LETTERS) + 2 * sign.length,
    0.85 * Math.min(note.length, MAX_LETTERS + 4),
  );
  return Math.max(MIN_WIDTH, Math.round(PER_LETTER * letters) + (round ? 44 : 24));
}

function truncated(text: string, max: number): string {
  return text.length <= max ? text : `${text.slice(0, max - 1)}…`;
}

/** A smooth line through these points, horizontal at both ends. */
function curve(points: readonly { x: number; y: number }[]): string {
  const [first, ...rest] = points;
  if (first === undefined) return "";
  let d = `M${round(first.x)},${round(first.y)}`;
  let at = first;
  for (const to of rest) {
    const half = (to.x - at.x) / 2;
    d += `C${round(at.x + half)},${round(at.y)} ${round(to.x - half)},${round(to.y)} ${round(to.x)},${
      round(to.y)
    }`;
    at = to;
  }
  return d;
}

function round(n: number): number {
  return Math.round(10 * n) / 10;
}
