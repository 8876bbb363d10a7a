// The module that the trainer runs (dist/features.wasm): the filter's own normaliser, views, features and classifier,
// so that what is trained on is what is served. Rules are here for the evaluation.
import { features, BLOCK_SLOTS_MAX } from "./classifier-features";
import { loadPack, score, probability, PACK_BYTES } from "./classifier";
import { begin, blocking, loadRules, match, SPAN_TRUSTED } from "./rules";
import { normalise } from "./normalise";
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

/** Does a rule block the text by itself, in its normal form or one of its views? */
export function ruleBlocks(ptr: usize, len: i32, to: usize): bool {
  const raw = slice(ptr, len);
  begin(SPAN_TRUSTED);
  const normal = slice(to, normalise(raw, false, to, len));
  match(normal);
  for (views.start(raw, false, normal); views.next(); ) match(views.view);
  return blocking >= 0;
}

/** The logit of a text, with its views: what injection.ts computes for one span. */
export function judge(ptr: usize, len: i32, to: usize): i32 {
  const raw = slice(ptr, len);
  const normal = slice(to, normalise(raw, false, to, len));
  let logit = score(normal);
  for (views.start(raw, false, normal); views.next(); ) logit = max(logit, score(views.view));
  return logit;
}
