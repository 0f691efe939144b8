import { dot, type Matrix, matrixOf, rowOf } from "../ml/matrix.ts";

/** A group of texts that may be an intent. `members` are indexes of the input, the most typical first. */
export interface Group {
  readonly members: readonly number[];
  /** Mean cosine to the group's centre. */
  readonly cohesion: number;
}

const MAX_ROUNDS = 25;
/** Numbers of groups that are tried, if there are enough texts. */
const GROUP_COUNTS = [4, 6, 8, 11, 15, 20, 27, 36, 48, 64];
/** The smallest mean group size that is tried. */
const MIN_MEAN_SIZE = 5;

/**
 * Groups vectors by spherical k-means (Dhillon and Modha, 2001), from centres that are far apart, under that number of groups
 * whose silhouette by centres is best; largest group first. `k` sets the number. It is deterministic: the same vectors give the
 * same groups.
 */
export function discover(options: { vectors: readonly Float32Array[]; k?: number }): Group[] {
  if (options.vectors.length === 0) return [];
  const rows = centre(options.vectors);
  const counts = options.k === undefined
    ? GROUP_COUNTS.filter((k) => k * MIN_MEAN_SIZE <= rows.rows)
    : [options.k];
  const clusterings = (counts.length === 0 ? [1] : counts).map((k) => cluster(rows, Math.min(k, rows.rows)));
  const best = clusterings.reduce((a, b) => b.silhouette > a.silhouette ? b : a);
  return best.groups.toSorted((a, b) => b.members.length - a.members.length);
}

/** The vectors less their mean, which all texts have in common. */
function centre(vectors: readonly Float32Array[]): Matrix {
  const d = vectors[0]!.length;
  const mean = new Float64Array(d);
  for (const vector of vectors) for (let i = 0; i < d; i++) mean[i]! += vector[i]! / vectors.length;
  return matrixOf(vectors.map((vector) => unit(Float64Array.from(vector, (x, i) => x - mean[i]!))), d);
}

function unit(vector: Float64Array): Float64Array {
  const norm = Math.sqrt(dot(vector, 0, vector, 0, vector.length)) || 1;
  return vector.map((x) => x / norm);
}

function cluster(rows: Matrix, k: number): { groups: Group[]; silhouette: number } {
  let centres = initialCentres(rows, k);
  let nearest = new Int32Array(0);
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const next = assign(rows, centres);
    if (nearest.length > 0 && next.every((c, n) => c === nearest[n])) break;
    nearest = next;
    centres = centresOf(rows, nearest, centres);
  }
  const groups = centres.map((centre, c) => groupOf(rows, nearest, centre, c)).filter(({ members }) =>
    members.length > 0
  );
  return { groups, silhouette: silhouetteOf(rows, centres, nearest) };
}

/** The first text, then repeatedly the one farthest from those chosen. */
function initialCentres(rows: Matrix, k: number): Float64Array[] {
  const centres = [rowOf(rows, 0).slice()];
  const closeness = new Float64Array(rows.rows).fill(-Infinity);
  while (centres.length < k) {
    const last = centres.at(-1)!;
    let farthest = 0;
    for (let n = 0; n < rows.rows; n++) {
      closeness[n] = Math.max(closeness[n]!, dot(rows.data, n * rows.dimension, last, 0, rows.dimension));
      if (closeness[n]! < closeness[farthest]!) farthest = n;
    }
    centres.push(rowOf(rows, farthest).slice());
  }
  return centres;
}

function assign(rows: Matrix, centres: readonly Float64Array[]): Int32Array<ArrayBuffer> {
  return Int32Array.from({ length: rows.rows }, (_, n) => {
    const cosines = centres.map((centre) => dot(rows.data, n * rows.dimension, centre, 0, rows.dimension));
    return cosines.indexOf(Math.max(...cosines));
  });
}

/** A centre without texts stays where it was. */
function centresOf(rows: Matrix, nearest: Int32Array, before: readonly Float64Array[]): Float64Array[] {
  const sums = before.map(() => new Float64Array(rows.dimension));
  for (let n = 0; n < rows.rows; n++) {
    const sum = sums[nearest[n]!]!;
    for (let i = 0; i < sum.length; i++) sum[i]! += rows.data[n * rows.dimension + i]!;
  }
  return sums.map((sum, c) => sum.some((x) => x !== 0) ? unit(sum) : before[c]!);
}

function groupOf(rows: Matrix, nearest: Int32Array, centre: Float64Array, c: number): Group {
  const members: { n: number; cosine: number }[] = [];
  nearest.forEach((cluster, n) => {
    if (cluster === c) {
      members.push({ n, cosine: dot(rows.data, n * rows.dimension, centre, 0, rows.dimension) });
    }
  });
  members.sort((a, b) => b.cosine - a.cosine || a.n - b.n);
  const cohesion = members.reduce((sum, { cosine }) => sum + cosine, 0) / Math.max(1, members.length);
  return { members: members.map(({ n }) => n), cohesion };
}

/** The simplified silhouette (Hruschka et al., 2004): by the distance to the own and to the nearest other centre, -1..1. */
function silhouetteOf(rows: Matrix, centres: readonly Float64Array[], nearest: Int32Array): number {
  if (centres.length < 2) return 0;
  let sum = 0;
  for (let n = 0; n < rows.rows; n++) {
    const distances = centres.map((centre) =>
      1 - dot(rows.data, n * rows.dimension, centre, 0, rows.dimension)
    );
    const members = distances[nearest[n]!]!;
    const other = Math.min(...distances.filter((_, c) => c !== nearest[n]));
    sum += (other - members) / (Math.max(members, other) || 1);
  }
  return sum / rows.rows;
}
