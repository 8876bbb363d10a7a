import { holdsFree } from "../../../assembly/usage/hold";
import { stateBytes } from "../../../assembly/usage/state";
import { spanCount } from "../../../assembly/usage/spans";
import { feed, filter, filterHead, model, pieces } from "../../../assembly/usage/usage";
import { slice } from "../../../assembly/slice";

export { reserve } from "../../../assembly/memory";
export {
  cachedTokens,
  cacheWriteTokens,
  closeAnswer,
  completionTokens,
  failed,
  finished,
  hidesUsage,
  isMislabelled,
  nextPiece,
  openAnswer,
  outputTokensEstimate,
  oversized,
  piece,
  promptTokens,
  reasoningTokens,
  seen,
  spanChannel,
  spanFlags,
  spanFrom,
  spanTo,
  textBytes,
  textDeltas,
  unreadable,
} from "../../../assembly/usage/usage";
export { filterHead, holdsFree, model, stateBytes };

export function feedBytes(handle: i32, ptr: usize, len: i32, last: bool): void {
  feed(handle, slice(ptr, len), last);
}
export function filterBytes(handle: i32, ptr: usize, len: i32, last: bool): u64 {
  return filter(handle, slice(ptr, len), last);
}
export function piecesOf(handle: i32, ptr: usize, len: i32, last: bool): void {
  pieces(handle, slice(ptr, len), last);
}
export function spans(): i32 {
  return spanCount;
}
