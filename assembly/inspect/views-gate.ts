// Cheap gates: does a window of normalised text look as if it hid another text? One pass answers for all views
// by counting bit masks; what is benign pays for this pass alone.
//
//  leet      digits and signs of leetspeak beside letters: ≥ 4 within 64 bytes; amid letters or before two they count twice
//  spaced    three single letters at equal distance 2, 3 or 4 (`i g n`, `i.g.n`, `i, g, n`, `i - g - n`), or so three
//            characters of two bytes, or of three (`и г н`, `忽 - 略 - 之`)
//  rot13     within 48 bytes the letters r g n b v, images of e t a o i, outnumber them by 7 : 4 (and are ≥ 9)
//  reversed  the digraphs ht gn dn uo outnumber th ng nd ou, whose mirrors they are, by 3 : 2, or within 64 bytes 3 : 1
//  escapes   ≥ 3 of `%`, `&` or `\`, of which one begins an escape
//  codes     16 bytes of only hexadecimal digits and separators, or of only dots and dashes, with a space
//            or comma: characters spelled as numbers, bits or Morse
//  rendered  ≥ 3 of `*`, `<` and `>` right behind letters, and as many letters right behind these: markup, maybe within words
//
// A wrongly opened gate costs one more view to read, never a verdict by itself.
// Bound: each byte is read once. Here is the pass over bytes; the one that SIMD makes is views-gate-simd.ts, and what they
// share views-gate-marks.ts.

import {
  begins,
  GATE_CODES,
  GATE_LEET,
  GATE_REVERSED,
  GATE_ROT13,
  isCode,
  isLeet,
  isMirrored,
  isTurned,
  loneWide,
  oddsIn,
  opened,
} from "./views-gate-marks";
import { gatesOfBlocks } from "./views-gate-simd";

/** The gates that `len` bytes of normalised text at `from` open: a bit set of GATE_*. */
export function gates(from: usize, len: i32): u32 {
  return ASC_FEATURE_SIMD ? gatesOfBlocks(from, len) : gatesOfBytes(from, len);
}

/** Over bytes, 16 of which make the masks and counts of a block. */
function gatesOfBytes(from: usize, len: i32): u32 {
  let open: u32 = 0;
  let spaced = 0;
  let forward = 0;
  let backward = 0;
  let escapes = 0;
  let escapeSeen = false;
  // The block before, for what spans two: letters and bytes beyond ASCII as bits, counts of the last four blocks as a byte each.
  let letterBefore: u32 = 0;
  let highBefore: u32 = 0;
  let leetRecent: u32 = 0;
  let plainRecent: u32 = 0;
  let rotRecent: u32 = 0;
  let rightRecent: u32 = 0;
  let wrongRecent: u32 = 0;
  let last: u32 = 0;
  let marksBehind = 0;
  let marksBefore = 0;
  for (let at = 0; at < len; at += 16) {
    const width = min(16, len - at);
    let letter: u32 = 0;
    let high: u32 = 0;
    let odd: u32 = 0;
    let plain = 0;
    let rot = 0;
    let right = 0;
    let wrong = 0;
    let hex: u32 = 0;
    let dots: u32 = 0;
    let gap: u32 = 0;
    for (let i = 0; i < width; i++) {
      const byte: u32 = load<u8>(from + at + i);
      const bit: u32 = 1 << i;
      if (byte - 97 < 26) letter |= bit;
      else if (byte >= 0x80) high |= bit;
      else if (byte - 48 < 10 || byte == 0x40 || byte == 0x24 || byte == 0x21 || byte == 0x7c) odd |= bit;
      else if (byte == 0x25 || byte == 0x26 || byte == 0x5c) escapes++;
      if (byte - 97 < 6 || byte - 48 < 10) hex |= bit;
      else if (byte - 0x2d < 3) dots |= bit;
      if (byte == 0x20 || byte == 0x2c) gap |= bit;
      right += i32(digraph(last, byte));
      wrong += i32(digraph(byte, last));
      escapeSeen = escapeSeen || begins(last, byte);
      marksBehind += i32(isMark(byte) && last - 97 < 26);
      marksBefore += i32(isMark(last) && byte - 97 < 26);
      plain += i32(byte == 0x65 || byte == 0x74 || byte == 0x61 || byte == 0x6f || byte == 0x69);
      rot += i32(byte == 0x72 || byte == 0x67 || byte == 0x6e || byte == 0x62 || byte == 0x76);
      last = byte;
    }
    leetRecent = (leetRecent << 8) | <u32>oddsIn(letter, odd);
    if (isLeet(leetRecent)) open |= GATE_LEET;
    spaced += loneLetters(letterBefore, letter) + loneWide(highBefore, high);
    letterBefore = letter;
    highBefore = high;
    if (width == 16 && isCode(hex, dots, gap)) open |= GATE_CODES;
    plainRecent = (plainRecent << 8) | <u32>plain;
    rotRecent = (rotRecent << 8) | <u32>rot;
    if (isTurned(plainRecent, rotRecent)) open |= GATE_ROT13;
    forward += right;
    backward += wrong;
    rightRecent = (rightRecent << 8) | <u32>right;
    wrongRecent = (wrongRecent << 8) | <u32>wrong;
    if (isMirrored(rightRecent, wrongRecent)) open |= GATE_REVERSED;
  }
  const escaped = escapeSeen ? escapes : 0;
  return opened(open, spaced, forward, backward, escaped, min(marksBehind, marksBefore));
}

/** What markup within words begins or ends with: `*`, `<`, `>`. */
function isMark(byte: u32): bool {
  return byte == 0x2a || byte == 0x3c || byte == 0x3e;
}

/** th, ng, nd, ou */
function digraph(first: u32, second: u32): bool {
  return (
    (first == 0x74 && second == 0x68) ||
    (first == 0x6e && (second == 0x67 || second == 0x64)) ||
    (first == 0x6f && second == 0x75)
  );
}

/** Lone letters with two more at equal distance behind them: of `last`, the block before, and of `letter`. */
function loneLetters(last: u32, letter: u32): i32 {
  // Bits 0–15: the block before; 16–31: this one. Counted are those whose neighbours are all known.
  const known = last | (letter << 16);
  const lone = known & ~(known << 1) & ~(known >> 1);
  return popcnt(
    lone &
      (((lone << 2) & (lone << 4)) | ((lone << 3) & (lone << 6)) | ((lone << 4) & (lone << 8))) &
      0x7fff8000,
  );
}
