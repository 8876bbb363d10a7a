// The tokens that merging has laid so far, from the start of a piece (merge.ts): where each ends, one bit for each byte, and
// the last two as they are, since most of the time it goes back by one or two. Beyond those the token that ends at a boundary
// is looked up again, so that the path needs no more memory.
import { clearBit, lastBitBefore, setBit } from "../bits";
import { tokenLength, tokenOf } from "./vocabulary";

let start: usize = 0;
let ends: usize = 0;
/** The last token and the one before it; -1 where there is none, or it is not known. */
let last: i32 = -1;
let before: i32 = -1;

/** Bytes and tokens of the path. */
export let laidBytes: i32 = 0;
export let laidTokens: i32 = 0;

/** Starts a path over the piece at `piece`; `bits` has one for each of its bytes, all clear. */
export function startPath(piece: usize, bits: usize): void {
  start = piece;
  ends = bits;
  last = before = -1;
  laidBytes = laidTokens = 0;
}

export function lay(token: i32): void {
  before = last;
  last = token;
  laidTokens++;
  laidBytes += tokenLength(token);
  setBit(ends, laidBytes);
}

/** Takes the last token off a path that is not empty, and returns it. */
export function takeBack(): i32 {
  const token = lastLaid();
  clearBit(ends, laidBytes);
  laidTokens--;
  laidBytes -= tokenLength(token);
  last = before;
  before = -1;
  return token;
}

/** The last token of the path, or -1 where it is empty. */
export function lastLaid(): i32 {
  if (last < 0 && laidBytes > 0) last = tokenOf(start + lastBitBefore(ends, laidBytes), start + laidBytes);
  return last;
}
