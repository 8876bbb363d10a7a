// The module that the trainer and the evaluation run (dist/features.wasm): the filter's own normaliser, views, features,
// classifier and judge, so that what is trained on and measured is what is served. Packs are loaded from outside.
import { features, BLOCK_SLOTS_MAX } from "./classifier-features";
import { loadPack, score, probability, PACK_BYTES } from "./classifier";
import { judgeText } from "./injection";
import { normalise } from "./normalise";
import { Trust } from "./prompt";
import { loadRules } from "./rules";
import * as views from "./views";
import { slice } from "../slice";

export { reserve } from "../memory";
export { loadPack, loadRules, probability };

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
  views.start(slice(ptr, len), false, slice(normal, normalLen), false);
}

export function nextView(): bool {
  return views.next();
}

export function view(): u64 {
  return views.view;
}

/** The combined logit of a text of a user, with its views, as the edge has it; `work` is room for the text. */
export function judge(ptr: usize, len: i32, work: usize): i32 {
  return judgeText(slice(ptr, len), false, Trust.User, work);
}
