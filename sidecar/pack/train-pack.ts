// Writes a trained model as the pack that assembly/inspect/classifier.ts loads; the layout is drawn there.
import type { Platt } from "./train-calibrate.ts";
import { type Model, SLOTS } from "./train-model.ts";

export const HEADER_BYTES = 64;
/** The logit 1.0, as in assembly/inspect/classifier.ts. */
export const LOGIT_ONE = 256;
/** Weights beyond this quantile of their size are cut off, so that one of them does not coarsen all. */
const CLIP_QUANTILE = 0.998;

/** int8 weights, and the model they stand for. */
export interface Quantised {
  weights: Int8Array;
  /** Weight of one step. */
  step: number;
}

export function quantise(model: Model): Quantised {
  const sizes = Float64Array.from(model.weights, Math.abs).sort();
  const largest = sizes[Math.floor(sizes.length * CLIP_QUANTILE)] || 1;
  const step = largest / 127;
  const weights = Int8Array.from(model.weights, (w) => Math.max(-127, Math.min(127, Math.round(w / step))));
  return { weights, step };
}

/** As assembly/inspect/classifier.ts has it: which features the weights are for. */
const PACK_VERSION = 2;

/** The threshold that a pack was made with, as a logit. */
export function packThreshold(pack: Uint8Array): number {
  return new DataView(pack.buffer, pack.byteOffset).getInt32(24, true) / LOGIT_ONE;
}

/** A copy of `pack` with another threshold, a logit; rounded up, so that what it was chosen to let pass does. */
export function withThreshold(pack: Uint8Array, threshold: number): Buffer {
  const copy = Buffer.from(pack);
  copy.writeInt32LE(Math.ceil(threshold * LOGIT_ONE), 24);
  return copy;
}

/** The model of a pack, with its calibration: what it answers is the calibrated logit. */
export function packModel(pack: Uint8Array): Model {
  const view = new DataView(pack.buffer, pack.byteOffset);
  const step = view.getFloat32(16, true);
  const weights = new Int8Array(pack.buffer, pack.byteOffset + HEADER_BYTES, SLOTS);
  return {
    weights: Float32Array.from(weights, (weight) => weight * step),
    bias: view.getInt32(20, true) / LOGIT_ONE,
  };
}

/** `threshold` is a calibrated logit; `hash` 32 bytes. */
export function writePack(
  { weights, step }: Quantised,
  bias: number,
  calibration: Platt,
  threshold: number,
  hash: Uint8Array,
): Buffer {
  const pack = Buffer.alloc(HEADER_BYTES + SLOTS);
  pack.write("WEIRCLS1", "latin1");
  pack.writeUInt32LE(PACK_VERSION, 8);
  pack.writeUInt32LE(Math.log2(SLOTS), 12);
  pack.writeFloatLE(calibration.slope * step, 16);
  pack.writeInt32LE(Math.round((calibration.slope * bias + calibration.offset) * LOGIT_ONE), 20);
  pack.writeInt32LE(Math.round(threshold * LOGIT_ONE), 24);
  pack.set(hash.subarray(0, 32), 32);
  pack.set(new Uint8Array(weights.buffer, weights.byteOffset, SLOTS), HEADER_BYTES);
  return pack;
}
