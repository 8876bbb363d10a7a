// Which token can stand behind another in an encoding: all that merging needs to know of them (merge.ts).
//
// The answer depends on the two tokens alone, so it is kept: in a run of dashes the same few pairs are asked for at
// each byte, and each answer costs some thirty walks of up to a hundred bytes.
//
//   Bound: of an answer that is kept, one step; else for `token` and each of its prefixes at most one walk for each merge
//   that made it or `last`, of at most its bytes. Memory: `SET_BYTES` for each set, where of three pairs the oldest goes.
import { reserve } from "../memory";
import { extend, isWholeOnly, leftOf, prefixOf, rightOf, tokenLength, vocabularyInUse } from "./vocabulary";

const SETS_LOG2: u32 = 12;
/** Two pairs, the newer one first. */
const SET_BYTES: usize = 16;

/** Of each pair: itself + 1 (0: none), and in the lowest bits its answer + 1. */
const kept = reserve(SET_BYTES << SETS_LOG2);
const TOKEN_BITS: u64 = 18;
const ANSWER_BITS: u64 = 19;
const ANSWER: u64 = (1 << ANSWER_BITS) - 1;

/** The first of `token`, its longest prefix that is a token, that one's … which fits behind `last`; or -1. `token` starts at `p`. */
export function firstFit(last: i32, token: i32, p: usize): i32 {
  const pair = (((((<u64>vocabularyInUse()) << TOKEN_BITS) | <u64>last) << TOKEN_BITS) | <u64>token) + 1;
  const set = kept + <usize>setOf(last, token) * SET_BYTES;
  const newer = load<u64>(set);
  if (newer >> ANSWER_BITS == pair) return <i32>(newer & ANSWER) - 1;
  const older = load<u64>(set, 8);
  if (older >> ANSWER_BITS == pair) return <i32>(older & ANSWER) - 1;
  const answer = findFit(last, token, p);
  store<u64>(set, newer, 8);
  store<u64>(set, (pair << ANSWER_BITS) | <u64>(answer + 1));
  return answer;
}

function findFit(last: i32, token: i32, p: usize): i32 {
  while (!fits(last, token, p)) {
    const shorter = prefixOf(token);
    if (shorter == token) return -1;
    token = shorter;
  }
  return token;
}

/** Both spread over all bits by an odd factor (the golden ratio; murmur3's), of which the highest tell the set. */
function setOf(a: i32, b: i32): u32 {
  return (<u32>a * 0x9e3779b1 + <u32>b * 0x85ebca6b) >> (32 - SETS_LOG2);
}

/** Takes the merges of both back, the latest first, and looks whether a pair across `p` would have been merged before. */
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
