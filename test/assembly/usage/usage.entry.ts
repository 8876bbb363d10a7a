import { holdsFree } from "../../../assembly/usage/hold";
import { stateBytes } from "../../../assembly/usage/state";
import { spanCount } from "../../../assembly/usage/spans";
import { feed, filter, filterHead, model, pieces, State } from "../../../assembly/usage/usage";
import { slice } from "../../../assembly/slice";

export { reserve } from "../../../assembly/memory";
export {
  cachedTokens,
  cacheWriteHourTokens,
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

export function feedBytes(answer: State, ptr: usize, len: i32, last: bool): void {
  feed(answer, slice(ptr, len), last);
}
export function filterBytes(answer: State, ptr: usize, len: i32, last: bool): u64 {
  return filter(answer, slice(ptr, len), last);
}
export function piecesOf(answer: State, ptr: usize, len: i32, last: bool): void {
  pieces(answer, slice(ptr, len), last);
}
export function spans(): i32 {
  return spanCount;
}
