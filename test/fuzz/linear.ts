// What every fuzz target means by linear: ten times the input costs at most eleven times the steps, counted in the compiled
// code (test/support/steps.ts). The smaller input is the unit repeated to some kilobytes, so that what happens once for each
// text weighs nothing, and so does where a window of a stage happens to cut.
import assert from "node:assert/strict";

const GROWTH = 10;
const FACTOR_MAX = 11;
/** Bytes of the smaller input: many windows of whatever stage looks at text in windows. */
const BASE_BYTES = 1 << 16;
/** Bytes of the larger one, at most. */
export const LARGE_BYTES = GROWTH * BASE_BYTES;
/** The same where decoded views are made: where their windows cut a repeated text drifts slowly, so it takes many before their
 *  mean settles (a text of 5 KB cost 9 % more a byte in 600 KB than in 64 KB, and no more than that in any longer one). */
export const VIEWS_BASE_BYTES = 1 << 18;
export const VIEWS_LARGE_BYTES = GROWTH * VIEWS_BASE_BYTES;

/** `unit` again and again, at most `size` bytes and at least once. */
export function repeated(unit: Uint8Array, size: number): Uint8Array {
  const times = Math.max(1, Math.floor(size / Math.max(1, unit.length)));
  const out = new Uint8Array(unit.length * times);
  for (let i = 0; i < times; i++) out.set(unit, i * unit.length);
  return out;
}

/** Asserts that `stepsOf` grows in proportion to its input, which `make` builds of so many bytes. */
export function assertLinear(
  make: (bytes: number) => Uint8Array,
  stepsOf: (input: Uint8Array) => number,
  what: string,
  base = BASE_BYTES,
): void {
  const [small, large] = [make(base), make(GROWTH * base)];
  // Sizes are only nearly one to ten.
  const growth = large.length / Math.max(1, small.length);
  const few = stepsOf(small);
  const many = stepsOf(large);
  assert.ok(few > 0, `${what}: no steps were counted`);
  assert.ok(
    many <= (FACTOR_MAX / GROWTH) * growth * few,
    `${what}: ${few} steps for ${small.length} bytes, ${many} for ${large.length}`,
  );
}
