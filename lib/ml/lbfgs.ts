/** How many of the last steps approximate the curvature. */
const MEMORY = 10;
const SUFFICIENT_DECREASE = 1e-4;
const MAX_HALVINGS = 20;

/** A function's value at a point; fills in its gradient there. */
export type Objective = (point: Float64Array, gradient: Float64Array) => Promise<number>;

interface Step {
  readonly s: Float64Array;
  readonly y: Float64Array;
  readonly curvature: number;
}

/**
 * Minimises a smooth convex function from `point`, in place, by at most `iterations` of L-BFGS with backtracking
 * (Nocedal and Wright, "Numerical Optimization", algorithm 7.5). The same input gives the same bits.
 */
export async function minimise(
  objective: Objective,
  point: Float64Array,
  iterations: number,
): Promise<void> {
  const steps: Step[] = [];
  let gradient = new Float64Array(point.length);
  let value = await objective(point, gradient);
  for (let n = 0; n < iterations; n++) {
    const direction = directionOf(gradient, steps);
    const slope = inner(direction, gradient);
    if (slope >= 0) return;
    const before = point.slice();
    const next = new Float64Array(point.length);
    let length = n === 0 ? Math.min(1, 1 / Math.sqrt(-slope)) : 1;
    let nextValue = Infinity;
    for (let halving = 0; halving < MAX_HALVINGS; halving++, length /= 2) {
      for (let i = 0; i < point.length; i++) point[i] = before[i]! + length * direction[i]!;
      nextValue = await objective(point, next);
      if (nextValue <= value + SUFFICIENT_DECREASE * length * slope) break;
    }
    if (nextValue >= value) return void point.set(before);
    remember(steps, difference(point, before), difference(next, gradient));
    gradient = next;
    value = nextValue;
  }
}

function remember(steps: Step[], s: Float64Array, y: Float64Array): void {
  const curvature = inner(s, y);
  if (curvature <= 0) return;
  steps.push({ s, y, curvature });
  if (steps.length > MEMORY) steps.shift();
}

/** The descent direction, by the curvature along the last steps. */
function directionOf(gradient: Float64Array, steps: readonly Step[]): Float64Array {
  const direction = gradient.map((value) => -value);
  const shares: number[] = [];
  for (const { s, y, curvature } of steps.toReversed()) {
    const share = inner(s, direction) / curvature;
    shares.unshift(share);
    addScaled(direction, -share, y);
  }
  const last = steps.at(-1);
  const scale = last === undefined ? 1 : last.curvature / inner(last.y, last.y);
  for (let i = 0; i < direction.length; i++) direction[i]! *= scale;
  steps.forEach(({ s, y, curvature }, n) => {
    addScaled(direction, shares[n]! - inner(y, direction) / curvature, s);
  });
  return direction;
}

function inner(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

function addScaled(to: Float64Array, times: number, vector: Float64Array): void {
  for (let i = 0; i < to.length; i++) to[i]! += times * vector[i]!;
}

function difference(a: Float64Array, b: Float64Array): Float64Array {
  return a.map((value, i) => value - b[i]!);
}
