/**
 * The statistics of anomaly detection, pure.
 *
 * Counts are looked at on a scale on which their noise does not depend on their size: y = 2 √(x + 3/8), on which a Poisson
 * count has a deviation of 1 whatever its mean (Anscombe, "The transformation of Poisson, binomial and negative-binomial
 * data", Biometrika 35, 1948). Amounts (tokens, dollars) are divided by what a request takes first. So a deviation below
 * DEVIATION_MIN is never believed: nothing that is counted is quieter.
 *
 * Means and deviations are running ones (Welford, Technometrics 4, 1962; merged as Chan, Golub and LeVeque do, 1983). Where
 * there is little history the median stands for the mean and 1.4826 × the median absolute deviation for the deviation,
 * which a few outliers do not move (Hampel, JASA 69, 1974; 1.4826 makes it that of a normal distribution).
 */

const OFFSET = 3 / 8;
const MAD_TO_DEVIATION = 1.4826;
export const DEVIATION_MIN = 1;

/** A count, or an amount in units of one request, on the scale of constant noise. `x` must not be negative. */
export function stabilised(x: number): number {
  return 2 * Math.sqrt(x + OFFSET);
}

/** Back again; 0 for what lies below the scale. */
export function unstabilised(y: number): number {
  return Math.max(0, (y / 2) ** 2 - OFFSET);
}

/** Count, mean and sum of squared differences of what was added. */
export interface Moments {
  n: number;
  mean: number;
  squares: number;
}

export const noMoments = (): Moments => ({ n: 0, mean: 0, squares: 0 });

/** Adds `times` equal values. */
export function addTo(moments: Moments, value: number, times = 1): void {
  mergeInto(moments, { n: times, mean: value, squares: 0 });
}

export function mergeInto(moments: Moments, other: Moments): void {
  const n = moments.n + other.n;
  if (n === 0) return;
  const difference = other.mean - moments.mean;
  moments.squares += other.squares + (difference * difference * moments.n * other.n) / n;
  moments.mean += (difference * other.n) / n;
  moments.n = n;
}

/** The sample's standard deviation; 0 for fewer than two values. */
export function deviationOf({ n, squares }: Moments): number {
  return n < 2 ? 0 : Math.sqrt(squares / (n - 1));
}

/** The median of a list, which is sorted in place. It must not be empty. */
function medianOf(values: Float64Array): number {
  values.sort();
  const middle = values.length >> 1;
  return values.length % 2 ? values[middle]! : (values[middle - 1]! + values[middle]!) / 2;
}

/** Median and deviation, hardly moved by outliers. `values` must not be empty. */
export function robust(values: ArrayLike<number>): { mean: number; deviation: number } {
  const sorted = Float64Array.from(values);
  const median = medianOf(sorted);
  for (let i = 0; i < sorted.length; i++) sorted[i] = Math.abs(sorted[i]! - median);
  return { mean: median, deviation: MAD_TO_DEVIATION * medianOf(sorted) };
}

/** The last values of a series, at most `capacity`. */
export class Ring {
  readonly #values: Float32Array;
  #next = 0;
  #count = 0;

  constructor(capacity: number) {
    this.#values = new Float32Array(capacity);
  }

  get count(): number {
    return this.#count;
  }

  push(value: number, times = 1): void {
    const capacity = this.#values.length;
    for (let i = 0; i < Math.min(times, capacity); i++) {
      this.#values[this.#next] = value;
      this.#next = (this.#next + 1) % capacity;
      this.#count = Math.min(this.#count + 1, capacity);
    }
  }

  /** In no order. */
  values(): Float32Array {
    return this.#values.subarray(0, this.#count);
  }
}
