// Byte pair encoding of one piece, in linear time and two bits of memory for each byte.
//
// The textbook way merges the lowest ranked pair again and again: quadratic, or n·log n with a heap. Instead we
// use what the `bpe` crate of github/rust-gems proves: a sequence of tokens is the encoding of its bytes if and
// only if each two neighbours are the encoding of their own bytes ("fit"). So we lay tokens from the left, the
// longest first; one that does not fit its left neighbour is replaced by its longest proper prefix that is a
// token; when none fits, the position is dead (no encoding passes there) and we step back by one token.
//
//   Bound: a position is entered once and dies at most once, and at each position every prefix token is tried at
//   most once. Tokens that are prefixes of one another number at most the longest token's length L (128), and each
//   step of this has a bound of its own (fits.ts, path.ts, vocabulary.ts). So the work is at most c(L)·n. In practice
//   it is 3 to 30 steps a byte: where every position dies, as in a long run of one character that has tokens of many
//   lengths, the same questions come again and again, and their answers are kept.
//
//   work area    ┌──────────────────────┬──────────────────────┐
//                │ dead: bit / position │ path: bit / boundary │   capacity/8 + 16 bytes each
//                └──────────────────────┴──────────────────────┘
import { hasBit, setBit } from "../bits";
import { reserve } from "../memory";
import { firstFit } from "./fits";
import { laidBytes, laidTokens, lastLaid, lay, startPath, takeBack } from "./path";
import { forgetWalk, longestToken, prefixOf, tokenLength } from "./vocabulary";

let dead: usize = 0;
let path: usize = 0;
let capacity: i32 = 0;

/** Reserves the work area for pieces of up to `bytes`. A larger one is at least twice as large, as the memory of the old one is lost. */
export function configureMerge(bytes: i32): void {
  if (bytes <= capacity) return;
  capacity = max(bytes, 2 * capacity);
  dead = reserve((<usize>capacity >> 3) + 16);
  path = reserve((<usize>capacity >> 3) + 16);
}

export function mergeCapacity(): i32 {
  return capacity;
}

/** The number of tokens of the piece from `from` to `to`: not empty, at most `mergeCapacity()` bytes. */
export function countMerged(from: usize, to: usize): i32 {
  const length = <i32>(to - from);
  clear(length);
  startPath(from, path);
  forgetWalk();
  let candidate = longestToken(from, to);
  while (true) {
    const token = firstAlive(candidate, from + laidBytes);
    if (token >= 0) {
      lay(token);
      if (laidBytes >= length) return laidTokens;
      candidate = longestToken(from + laidBytes, to);
    } else {
      // Single bytes are tokens, so every text has an encoding and the start cannot die.
      if (laidBytes == 0) return length;
      setBit(dead, laidBytes);
      candidate = takeBack();
    }
  }
}

/** A bulk fill costs more than it clears: most pieces need one word. */
function clear(length: i32): void {
  const bytes = ((<usize>length >> 6) + 1) << 3;
  for (let i: usize = 0; i < bytes; i += 8) {
    store<u64>(dead + i, 0);
    store<u64>(path + i, 0);
  }
}

/** The first of `token`, which starts at `p`, its prefix, that one's prefix … that fits behind the path and does not end dead; or -1. */
function firstAlive(token: i32, p: usize): i32 {
  const last = lastLaid();
  while (true) {
    if (last >= 0) token = firstFit(last, token, p);
    if (token < 0 || !hasBit(dead, laidBytes + tokenLength(token))) return token;
    const shorter = prefixOf(token);
    if (shorter == token) return -1;
    token = shorter;
  }
}
