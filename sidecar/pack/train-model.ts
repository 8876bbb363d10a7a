// The learner: logistic regression on bags of windows. A text is as suspicious as its worst window, in training
// as in the filter, so of an attack only the window that scores highest is pulled up (the rest of a long jailbreak
// is often harmless), and of a benign text the one that scores highest is pushed down, among windows of half the size,
// too: what is harmless has to be so in its passages (assembly/inspect/passage.ts). The rules take no
// part in learning: on the texts that they were written by they are better than they will be on others.
//
// AdaGrad with L2, averaged over the last half of the epochs. Sources count by a fractional power of their rows, and attacks
// and benign texts count alike in total. Deterministic: order and initial values come from the seed.

import type { Dataset } from "./features.ts";
import { random } from "./train-grammar.ts";

export const SLOTS = 1 << 17;
/** As in assembly/inspect/classifier.ts. */
export const WINDOW_BLOCKS = 4;
export const SMOOTH = 32;

export interface TrainOptions {
  seed: number;
  epochs: number;
  rate: number;
  l2: number;
  /** What the sums of squared gradients begin with: the more, the smaller the first steps. */
  inertia: number;
  /** Rows ** power is the weight of a source. */
  power: number;
  /** Total weight of benign texts over that of attacks. */
  benign: number;
  /** How much an attack counts that the model takes for harmless: its probability to this power. */
  doubt: number;
  /** Factors for single sources. */
  factor?: (source: string) => number;
}

export const DEFAULTS: TrainOptions = {
  seed: 1,
  epochs: 12,
  rate: 0.02,
  l2: 1e-6,
  inertia: 1e-2,
  power: 0.5,
  benign: 2,
  doubt: 0.6,
};

export interface Model {
  weights: Float32Array;
  bias: number;
}

/** The best window of a text: its value (sum / √(bytes + SMOOTH)) and where it is. */
export interface Window {
  value: number;
  bytes: number;
  firstBlock: number;
  lastBlock: number;
}

/** Sums of the slots before each block of a segment. */
const before = new Float64Array(4096);

/** Blocks of a window: a whole one, and for what must be harmless in every part of it also smaller ones. */
const WHOLE = [WINDOW_BLOCKS];
const PARTS = [WINDOW_BLOCKS / 2, WINDOW_BLOCKS];

/** A text whose error is below EASY is left alone for the next EASY_REST epochs: it would change nothing. */
const EASY = 0.03;
const EASY_REST = 3;

/** The window of bag `index` with the highest value under `weights`. */
function bestWindow(
  data: Dataset,
  index: number,
  weights: ArrayLike<number>,
  out: Window,
  sizes: readonly number[] = WHOLE,
): Window {
  const bag = data.bags[index];
  out.value = Number.NEGATIVE_INFINITY;
  if (!bag) return out;
  const { segmentBlock, segmentBytes, blockSlot, slots } = data;
  for (let segment = bag.from; segment < bag.to; segment++) {
    const first = segmentBlock[segment] as number;
    const blocks = (segmentBlock[segment + 1] as number) - first;
    const bytes = segmentBytes[segment] as number;
    let running = 0;
    before[0] = 0;
    for (let block = 0; block < blocks; block++) {
      let sum = 0;
      const end = blockSlot[first + block + 1] as number;
      for (let i = blockSlot[first + block] as number; i < end; i++)
        sum += weights[slots[i] as number] as number;
      running += sum;
      before[block + 1] = running;
      for (const size of sizes) {
        if (block + 1 < size && (block + 1 < blocks || size < WINDOW_BLOCKS)) continue;
        const from = Math.max(0, block + 1 - size);
        const length = Math.min((block + 1) * 64, bytes) - from * 64;
        const value = (running - (before[from] as number)) / Math.sqrt(length + SMOOTH);
        if (value > out.value) {
          out.value = value;
          out.bytes = length;
          out.firstBlock = first + from;
          out.lastBlock = first + block;
        }
      }
    }
  }
  return out;
}

/** Trains on the bags in `indices`, from nothing or from a model that knows more than they tell: L2 then holds the weights to its. */
export function train(
  data: Dataset,
  indices: readonly number[],
  options: TrainOptions = DEFAULTS,
  from: Model = { weights: new Float32Array(SLOTS), bias: 0 },
): Model {
  const { seed, epochs, rate, l2, doubt, inertia } = options;
  const importance = balance(data, indices, options);
  const rand = random(seed);
  const order = Uint32Array.from(indices.keys());
  const weights = Float32Array.from(from.weights);
  const squares = new Float32Array(SLOTS).fill(inertia);
  const average = new Float64Array(SLOTS);
  let { bias } = from;
  let biasSquares = inertia;
  let biasAverage = 0;
  let averaged = 0;
  const window: Window = { value: 0, bytes: 0, firstBlock: 0, lastBlock: 0 };
  const rest = new Uint8Array(indices.length);
  for (let epoch = 0; epoch < epochs; epoch++) {
    for (let i = order.length - 1; i > 0; i--) {
      const j = Math.floor(rand() * (i + 1));
      const swapped = order[i] as number;
      order[i] = order[j] as number;
      order[j] = swapped;
    }
    for (const at of order) {
      if (rest[at]) {
        rest[at] = (rest[at] as number) - 1;
        continue;
      }
      const index = indices[at] as number;
      const label = data.bags[index]?.label ?? 0;
      bestWindow(data, index, weights, window, label ? WHOLE : PARTS);
      if (window.value === Number.NEGATIVE_INFINITY) continue;
      const error = 1 / (1 + Math.exp(-(window.value + bias))) - label;
      // An attack that looks like none teaches little: chat logs and contest entries hold many that are none.
      const trust = label ? (1 + error) ** doubt : 1;
      const slope = error * trust * (importance[at] as number);
      if (Math.abs(error) < EASY) rest[at] = EASY_REST;
      const gradient = slope / Math.sqrt(window.bytes + SMOOTH);
      const end = data.blockSlot[window.lastBlock + 1] as number;
      for (let i = data.blockSlot[window.firstBlock] as number; i < end; i++) {
        const slot = data.slots[i] as number;
        const weight = weights[slot] as number;
        const g = gradient + l2 * (weight - (from.weights[slot] as number));
        const square = (squares[slot] as number) + g * g;
        squares[slot] = square;
        weights[slot] = weight - (rate * g) / Math.sqrt(square);
      }
      biasSquares += slope * slope;
      bias -= (rate * slope) / Math.sqrt(biasSquares);
    }
    if (epoch >= epochs >> 1) {
      for (let i = 0; i < SLOTS; i++) average[i] = (average[i] as number) + (weights[i] as number);
      biasAverage += bias;
      averaged++;
    }
  }
  for (let i = 0; i < SLOTS; i++) weights[i] = (average[i] as number) / averaged;
  return { weights, bias: biasAverage / averaged };
}

/** The uncalibrated logit of bag `index`. */
export function logit(
  data: Dataset,
  index: number,
  model: { weights: ArrayLike<number>; bias: number },
): number {
  const window = { value: 0, bytes: 0, firstBlock: 0, lastBlock: 0 };
  const { value } = bestWindow(data, index, model.weights, window);
  return value === Number.NEGATIVE_INFINITY ? -16 : value + model.bias;
}

/** The weight of each sample, 1 on average. */
function balance(
  data: Dataset,
  indices: readonly number[],
  { power, benign, factor }: TrainOptions,
): Float64Array {
  const rows = new Map<string, number>();
  const key = (index: number) => `${data.bags[index]?.label}${data.bags[index]?.source}`;
  for (const index of indices) rows.set(key(index), (rows.get(key(index)) ?? 0) + 1);
  const weight = Float64Array.from(indices, (index) => {
    const source = data.bags[index]?.source ?? "";
    return (rows.get(key(index)) ?? 1) ** (power - 1) * (factor?.(source) ?? 1);
  });
  const total = [0, 0];
  for (const [i, index] of indices.entries()) {
    const label = data.bags[index]?.label ?? 0;
    total[label] = (total[label] ?? 0) + (weight[i] ?? 0);
  }
  const scale = [
    (indices.length * benign) / (1 + benign) / (total[0] || 1),
    indices.length / (1 + benign) / (total[1] || 1),
  ];
  return weight.map((w, i) => w * (scale[data.bags[indices[i] ?? 0]?.label ?? 0] ?? 1));
}
