import assert from "node:assert/strict";
import { matrixProducts, type PaddedMatrix } from "../../../lib/ml/products.ts";
import { random } from "../../fixtures/rows.ts";

type Shape = readonly [rows: number, columns: number];

function fill({ data, columns }: PaddedMatrix, [rows, width]: Shape, next: () => number): number[][] {
  return Array.from(
    { length: rows },
    (_, i) => Array.from({ length: width }, (_, j) => data[i * columns + j] = 2 * next() - 1),
  );
}

const valuesOf = ({ data, columns }: PaddedMatrix, [rows, width]: Shape) =>
  Array.from({ length: rows }, (_, i) => [...data.subarray(i * columns, i * columns + width)]);

// Multiples of the kernel's tile of four, and other sizes.
for (const [rows, depth, columns] of [[1, 1, 1], [4, 8, 4], [5, 3, 7], [32, 385, 6], [9, 4, 130]] as const) {
  Deno.test(`addProduct() adds A B and Aᵀ B, ${rows} × ${depth} × ${columns}, as loops do`, () => {
    for (const transposed of [false, true]) {
      const next = random(rows + depth);
      const shape: Shape = transposed ? [depth, rows] : [rows, depth];
      const { matrices: { a, b, c }, addProduct } = matrixProducts({
        a: shape,
        b: [depth, columns],
        c: [rows, columns],
      });
      const [x, y, before] = [
        fill(a, shape, next),
        fill(b, [depth, columns], next),
        fill(c, [rows, columns], next),
      ];
      addProduct(a, b, c, { transposed });
      valuesOf(c, [rows, columns]).forEach((row, i) =>
        row.forEach((value, j) => {
          const wanted = y.reduce(
            (sum, own, p) => sum + (transposed ? x[p]![i]! : x[i]![p]!) * own[j]!,
            before[i]![j]!,
          );
          assert.ok(Math.abs(value - wanted) < 1e-12, `${value} at ${i}, ${j} is not ${wanted}`);
        })
      );
      assert.deepEqual([valuesOf(a, shape), valuesOf(b, [depth, columns])], [x, y]);
    }
  });
}
