import { features, BLOCK_SLOTS_MAX } from "../../../assembly/inspect/classifier-features";
import { loadPack, score, probability, PACK_BYTES } from "../../../assembly/inspect/classifier";
import { normalise } from "../../../assembly/inspect/normalise";
import * as views from "../../../assembly/inspect/views";
import { slice } from "../../../assembly/slice";

export { reserve } from "../../../assembly/memory";
export { loadPack, probability };

export function packBytes(): i32 {
  return PACK_BYTES;
}

export function blockSlotsMax(): i32 {
  return BLOCK_SLOTS_MAX;
}

export function scoreText(ptr: usize, len: i32): i32 {
  return score(slice(ptr, len));
}

export function featuresOf(ptr: usize, len: i32, slots: usize, ends: usize, blocksMax: i32): i32 {
  return features(slice(ptr, len), slots, ends, blocksMax);
}

export function normaliseText(ptr: usize, len: i32, to: usize, max: i32): i32 {
  return normalise(slice(ptr, len), false, to, max);
}

export function startViews(ptr: usize, len: i32, normal: usize, normalLen: i32): void {
  views.start(slice(ptr, len), false, slice(normal, normalLen));
}

export function nextView(): bool {
  return views.next();
}

export function view(): u64 {
  return views.view;
}

export function viewKind(): i32 {
  return views.kind;
}
