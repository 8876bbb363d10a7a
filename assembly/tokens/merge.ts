// Byte pair encoding of one piece, in linear time and two bits of memory for each byte.
//
// The textbook way merges the lowest ranked pair again and again: quadratic, or n·log n with a heap. Instead we
// use what the `bpe` crate of github/rust-gems proves: a sequence of tokens is the encoding of its bytes if and
// only if each two neighbours are the encoding of their own bytes ("fit"). So we lay tokens from the left, the
// longest first; one that does not fit its left neighbour is replaced by its longest proper prefix that is a
// token; when none fits, the position is dead (no encoding passes there) and we step back by one token.
//
//   Bound: a position is entered once and dies at most once, and at each position every prefix token is tried at
//   most once. Tokens that are prefixes of one another number at most the longest token's length L (128), a fit
//   takes at most 2·L walks of at most L steps. So the work is at most c(L)·n; in practice 10 to 40 steps a byte.
//
//   work area    ┌──────────────────────┬──────────────────────┐
//                │ dead: bit / position │ path: bit / boundary │   capacity/8 + 8 bytes each
//                └──────────────────────┴──────────────────────┘
import { reserve } from "../memory";
import {
  extend,
  isWholeOnly,
  leftOf,
  longestToken,
  prefixOf,
  rightOf,
  tokenLength,
  tokenOf,
} from "./vocabulary";

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
  // A bulk fill costs more than it clears: most pieces need one word.
  const bytes = ((<usize>length >> 6) + 1) << 3;
  for (let i: usize = 0; i < bytes; i += 8) {
    store<u64>(dead + i, 0);
    store<u64>(path + i, 0);
  }
  let at = 0;
  let count = 0;
  let last = -1;
  let candidate = longestToken(from, to);
  while (true) {
    const token = firstFit(candidate, last, from + at, at);
    if (token >= 0) {
      at += tokenLength(token);
      count++;
      if (at >= length) return count;
      setBit(path, at);
      last = token;
      candidate = longestToken(from + at, to);
    } else {
      // Single bytes are tokens, so every text has an encoding and the start cannot die.
      if (at == 0) return length;
      setBit(dead, at);
      clearBit(path, at);
      candidate = last;
      at -= tokenLength(last);
      count--;
      last = at == 0 ? -1 : tokenOf(from + boundaryBefore(at), from + at);
    }
  }
}

/** The first of `token`, its prefix, that one's prefix … that ends alive and fits behind `last`; or -1. */
function firstFit(token: i32, last: i32, p: usize, at: i32): i32 {
  while (true) {
    if (!hasBit(dead, at + tokenLength(token)) && (last < 0 || fits(last, token, p))) return token;
    const shorter = prefixOf(token);
    if (shorter == token) return -1;
    token = shorter;
  }
}

/**
 * Whether the encoding of the bytes of `a` and `b` together, which meet at `p`, is `a` `b`: takes the merges of
 * both back, the latest first, and looks whether a pair across `p` would have been merged before.
 */
function fits(a: i32, b: i32, p: usize): bool {
  let limit = i32.MAX_VALUE;
  while (true) {
    const joined = extend(a, p, p + tokenLength(b));
    if (joined >= 0 && joined < limit && !isWholeOnly(joined)) return false;
    if (a > b) {
      limit = a;
      a = rightOf(a);
      if (a != limit) continue;
      limit = b + 1;
      b = leftOf(b);
      if (b + 1 == limit) return true;
    } else {
      limit = b + 1;
      b = leftOf(b);
      if (b + 1 != limit) continue;
      limit = a;
      a = rightOf(a);
      if (a == limit) return true;
    }
  }
}

/** The last boundary of the path before `at`; 0 is one. */
function boundaryBefore(at: i32): i32 {
  let word = (at - 1) >> 6;
  let bits = load<u64>(path + ((<usize>word) << 3)) & (<u64>-1 >> (63 - <u64>((at - 1) & 63)));
  while (bits == 0) {
    if (word == 0) return 0;
    bits = load<u64>(path + ((<usize>--word) << 3));
  }
  return (word << 6) + 63 - <i32>clz(bits);
}

function hasBit(set: usize, i: i32): bool {
  return ((load<u8>(set + (i >> 3)) >> (<u8>i & 7)) & 1) != 0;
}

function setBit(set: usize, i: i32): void {
  const at = set + (i >> 3);
  store<u8>(at, load<u8>(at) | ((<u8>1) << (<u8>i & 7)));
}

function clearBit(set: usize, i: i32): void {
  const at = set + (i >> 3);
  store<u8>(at, load<u8>(at) & ~((<u8>1) << (<u8>i & 7)));
}
