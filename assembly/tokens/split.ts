// Splits text into the pieces that byte pair encoding never merges across: the split patterns of o200k_base and
// cl100k_base, written out as scanners over UTF-8.
//
// What defines them is gpt-tokenizer's regular expressions in JavaScript (`src/encodingParams/constants.ts`), so
// `\s` has U+FEFF and not U+0085. Names used below, with U = Lu Lt, l = Ll, O = Lm Lo, M = marks, L = all letters:
//
//   o200k  1  [^\r\n L N]? [U O M]* [l O M]+ (contraction)?     words that end in lower case
//          2  [^\r\n L N]? [U O M]+ [l O M]* (contraction)?     capitals
//          3  N{1,3}
//          4  ' '? [^\s L N]+ [\r\n/]*
//          5  \s* [\r\n]+        6  \s+ (?!\S)        7  \s+
//   cl100k 1  contraction        2  [^\r\n L N]? L+   3  N{1,3}
//          4  ' '? [^\s L N]+ [\r\n]*
//          5  \s+ $    6  \s* [\r\n]    7  \s+ (?!\S)    8  \s
//   contraction: 's 'd 'm 't 'll 've 're in any case
//
// Bounds: each function returns the end of the piece, which is > `p` and ≤ `end`, and reads no byte at or after
// `end`. It looks at each byte of the piece at most three times and at one character behind it; so does a run of
// white space, which ends one character before the next word.
import { within } from "../vectors";
import {
  charAt,
  classOf,
  lengthOf,
  LETTER,
  LOWER,
  MARK,
  NEWLINE,
  NUMBER,
  OTHER,
  SPACE,
  UPPER,
} from "./classes";

const APOSTROPHE: u32 = 39;
const BLANK: u32 = 32;
const SLASH: u32 = 47;
const CR: u32 = 13;
const LF: u32 = 10;

/** The end of the o200k piece at `p` < `end`. */
export function pieceO200k(p: usize, end: usize): usize {
  const char = charAt(p, end);
  const kind = classOf(char);
  const next = p + lengthOf(char);
  if (kind >= UPPER && kind <= LETTER) return wordO200k(p, end, p);
  if (kind == NUMBER) return digits(next, end);
  if (kind == NEWLINE) return whiteO200k(p, end);
  if (next < end) {
    const follower = classOf(charAt(next, end));
    if (follower >= UPPER && follower <= MARK) return wordO200k(next, end, p);
    if (kind != MARK) {
      if (kind == OTHER) return symbols(next, end, true);
      if (follower == OTHER && load<u8>(p) == BLANK) return symbols(next, end, true);
    }
  }
  // A mark alone is a word, by pattern 1 without its prefix.
  if (kind == MARK) return contraction(next, end);
  return kind == OTHER ? next : whiteO200k(p, end);
}

/** The end of the cl100k piece at `p` < `end`. */
export function pieceCl100k(p: usize, end: usize): usize {
  const char = charAt(p, end);
  const kind = classOf(char);
  const next = p + lengthOf(char);
  if (kind >= UPPER && kind <= LETTER) return letters(next, end);
  if (kind == NUMBER) return digits(next, end);
  if (kind == NEWLINE) return whiteCl100k(p, end);
  if (load<u8>(p) == APOSTROPHE) {
    const short = contraction(p, end);
    if (short != p) return short;
  }
  const follower = next < end ? classOf(charAt(next, end)) : NEWLINE;
  if (follower >= UPPER && follower <= LETTER) return letters(next, end);
  if (kind != SPACE) return symbols(next, end, false);
  if ((follower == OTHER || follower == MARK) && load<u8>(p) == BLANK) return symbols(next, end, false);
  return whiteCl100k(p, end);
}

/**
 * Patterns 1 and 2 of o200k: the word whose letters start at `p`, where a letter or mark is; `start` is `p` or
 * the prefix character before it. Pattern 1 gives back capitals until a character that may end it: so it ends
 * after the lower-case part, or else after the last O or M. Only without both does pattern 2 take the capitals.
 */
function wordO200k(p: usize, end: usize, start: usize): usize {
  let q = p;
  let giveBack: usize = 0;
  while (q < end) {
    const char = charAt(q, end);
    const kind = classOf(char);
    if (kind == LOWER) return contraction(lowerCase(q + lengthOf(char), end), end);
    if (kind < UPPER || kind > MARK) break;
    q += lengthOf(char);
    if (kind != UPPER) giveBack = q;
  }
  if (giveBack) return contraction(giveBack, end);
  // Without its prefix, which pattern 1 tries next, a mark that we took as prefix is a whole word.
  if (start != p) {
    const prefix = charAt(start, end);
    if (classOf(prefix) == MARK) return contraction(p, end);
  }
  return contraction(q, end);
}

/** The end of [l O M]*. */
function lowerCase(p: usize, end: usize): usize {
  while (true) {
    p = asciiLower(p, end);
    if (p >= end) return p;
    const char = charAt(p, end);
    const kind = classOf(char);
    if (kind < LOWER || kind > MARK) return p;
    p += lengthOf(char);
  }
}

/** The end of L*. */
function letters(p: usize, end: usize): usize {
  while (true) {
    p = asciiLetters(p, end);
    if (p >= end) return p;
    const char = charAt(p, end);
    const kind = classOf(char);
    if (kind < UPPER || kind > LETTER) return p;
    p += lengthOf(char);
  }
}

/** The end of [a-z]*. */
function asciiLower(p: usize, end: usize): usize {
  if (ASC_FEATURE_SIMD) {
    for (; p + 16 <= end; p += 16) {
      const others = 0xffff ^ i8x16.bitmask(within(v128.load(p), 97, 26));
      if (others) return p + ctz(others);
    }
  }
  while (p < end && <u32>load<u8>(p) - 97 < 26) p++;
  return p;
}

/** The end of [A-Za-z]*. */
function asciiLetters(p: usize, end: usize): usize {
  if (ASC_FEATURE_SIMD) {
    for (; p + 16 <= end; p += 16) {
      const others = 0xffff ^ i8x16.bitmask(within(v128.or(v128.load(p), i8x16.splat(32)), 97, 26));
      if (others) return p + ctz(others);
    }
  }
  while (p < end && (<u32>load<u8>(p) | 32) - 97 < 26) p++;
  return p;
}

/** The end of N{0,2} after the first number. */
function digits(p: usize, end: usize): usize {
  for (let i = 0; i < 2 && p < end; i++) {
    const char = charAt(p, end);
    if (classOf(char) != NUMBER) return p;
    p += lengthOf(char);
  }
  return p;
}

/** The end of [^\s L N]* [\r\n]*; with `slash`, of [^\s L N]* [\r\n/]*. */
function symbols(p: usize, end: usize, slash: bool): usize {
  while (p < end) {
    const char = charAt(p, end);
    const kind = classOf(char);
    if (kind != OTHER && kind != MARK) break;
    p += lengthOf(char);
  }
  while (p < end) {
    const byte = <u32>load<u8>(p);
    if (byte != CR && byte != LF && !(slash && byte == SLASH)) break;
    p++;
  }
  return p;
}

/** The end of the contraction at `p` ≤ `end`, or `p` where none is. */
function contraction(p: usize, end: usize): usize {
  if (p + 1 >= end || load<u8>(p) != APOSTROPHE) return p;
  const a = <u32>load<u8>(p, 1) | 32;
  if (a == 0x73 || a == 0x64 || a == 0x6d || a == 0x74) return p + 2;
  if (p + 2 >= end) return p;
  const b = <u32>load<u8>(p, 2) | 32;
  if (a == 0x6c) return b == 0x6c ? p + 3 : p;
  return (a == 0x76 || a == 0x72) && b == 0x65 ? p + 3 : p;
}

/** Where white space at `p` ends, its last character starts, and its last line break ends (0: has none). */
let whiteEnd: usize = 0;
let whiteLast: usize = 0;
let whiteBreak: usize = 0;

function scanWhite(p: usize, end: usize): void {
  whiteBreak = 0;
  whiteLast = p;
  while (p < end) {
    const char = charAt(p, end);
    const kind = classOf(char);
    if (kind < SPACE) break;
    whiteLast = p;
    p += lengthOf(char);
    if (kind == NEWLINE) whiteBreak = p;
  }
  whiteEnd = p;
}

function whiteO200k(p: usize, end: usize): usize {
  scanWhite(p, end);
  if (whiteBreak) return whiteBreak;
  return whiteEnd == end || whiteLast == p ? whiteEnd : whiteLast;
}

function whiteCl100k(p: usize, end: usize): usize {
  scanWhite(p, end);
  if (whiteEnd == end) return whiteEnd;
  if (whiteBreak) return whiteBreak;
  return whiteLast == p ? whiteEnd : whiteLast;
}
