// The tokens that merging has laid so far, from the start of a piece (merge.ts): where each ends, one bit for each byte, and
// the last `KEPT` of them as they are, since most of the time it goes back by one or two. Beyond those the token that ends at a
// boundary is looked up again, so that the path needs no more memory.
import { reserve } from "../memory";
import { clearBit, lastBitBefore, setBit } from "./bits";
import { tokenLength, tokenOf } from "./vocabulary";

const KEPT: i32 = 2;
const kept = reserve(KEPT << 2);
/** Of the tokens laid, counted from 0, the first that `kept` holds. */
let keptFrom: i32 = 0;

let start: usize = 0;
let ends: usize = 0;

/** Bytes and tokens of the path. */
export let laidBytes: i32 = 0;
export let laidTokens: i32 = 0;

/** Starts a path over the piece at `piece`; `bits` has one for each of its bytes, all clear. */
export function startPath(piece: usize, bits: usize): void {
  start = piece;
  ends = bits;
  laidBytes = laidTokens = keptFrom = 0;
}

export function lay(token: i32): void {
  store<i32>(placeOf(laidTokens), token);
  laidTokens++;
  laidBytes += tokenLength(token);
  setBit(ends, laidBytes);
  keptFrom = max(keptFrom, laidTokens - KEPT);
}

/** Takes the last token, which is `token`, off the path. */
export function takeBack(token: i32): void {
  clearBit(ends, laidBytes);
  laidTokens--;
  laidBytes -= tokenLength(token);
}

/** The last token of the path, or -1 where it is empty. */
export function lastLaid(): i32 {
  if (laidTokens == 0) return -1;
  const last = laidTokens - 1;
  if (last < keptFrom) {
    store<i32>(placeOf(last), tokenOf(start + lastBitBefore(ends, laidBytes), start + laidBytes));
    keptFrom = last;
  }
  return load<i32>(placeOf(last));
}

function placeOf(i: i32): usize {
  return kept + ((<usize>(i & (KEPT - 1))) << 2);
}
