// Exact token counts, equal to gpt-tokenizer's for o200k_base and cl100k_base. Special tokens such as
// <|endoftext|> count as the text they are, as they do in a user's prompt.
//
// Text is split into pieces; most pieces are tokens, which one walk of the trie tells; the others are merged.
// The text is decoded UTF-8 (JSON escapes already undone); each slice is a text of its own. Malformed bytes, which
// the JSON scanner never lets through, count as the U+FFFD that a decoder would put in their place.
//
// Bounds: linear in the text (see merge.ts); memory: `configureTokens`. White space is linear too although a run
// is scanned to its end for each piece: only its last character is left for the next piece.
import { reserve } from "../memory";
import { endOf, lenOf, ptrOf, Slice } from "../slice";
import { charAt, clearMalformed, isMalformed, lengthOf, sawMalformed } from "./classes";
import { configureMerge, countMerged, mergeCapacity } from "./merge";
import { pieceCl100k, pieceO200k } from "./split";
import { isToken, O200K, useVocabulary } from "./vocabulary";

/** `countTokens` cannot count: the vocabulary is not attached, or the text is longer than configured. */
export const UNCOUNTED: i32 = -1;

/** Longest repaired part of a malformed piece; a longer piece is counted in parts, so only nearly exact. */
const REPAIR_BYTES = 4096;

let repaired: usize = 0;

/** Reserves the work area for texts of up to `textBytes` each: a quarter byte for each, and 4 KiB. */
export function configureTokens(textBytes: i32): void {
  if (!repaired) repaired = reserve(REPAIR_BYTES);
  configureMerge(max(textBytes, REPAIR_BYTES));
}

/**
 * The number of tokens of `text` in `encoding` (O200K or CL100K); `limit` + 1 as soon as it is known to be
 * more than `limit` (≥ 0); UNCOUNTED when it cannot be had.
 */
export function countTokens(encoding: i32, text: Slice, limit: i32): i32 {
  if (lenOf(text) < 0 || lenOf(text) > mergeCapacity() || !useVocabulary(encoding)) return UNCOUNTED;
  const end = endOf(text);
  let count = 0;
  for (let p = ptrOf(text); p < end; ) {
    const next = encoding == O200K ? pieceO200k(p, end) : pieceCl100k(p, end);
    if (next - p == 1 && load<u8>(p) < 0x80) count++;
    else if (sawMalformed()) count += countRepaired(p, next);
    else count += countPiece(p, next);
    if (count > limit) return limit + 1;
    p = next;
  }
  return count;
}

function countPiece(from: usize, to: usize): i32 {
  return isToken(from, to) ? 1 : countMerged(from, to);
}

/** Counts the piece with U+FFFD in the place of each malformed part. */
function countRepaired(from: usize, to: usize): i32 {
  let count = 0;
  let size = 0;
  for (let p = from; p < to; ) {
    if (size > REPAIR_BYTES - 4) {
      count += countPiece(repaired, repaired + size);
      size = 0;
    }
    const char = charAt(p, to);
    if (isMalformed(char)) {
      store<u16>(repaired + size, 0xbfef);
      store<u8>(repaired + size, 0xbd, 2);
      size += 3;
    } else {
      memory.copy(repaired + size, p, lengthOf(char));
      size += lengthOf(char);
    }
    p += lengthOf(char);
  }
  clearMalformed();
  return count + countPiece(repaired, repaired + size);
}
