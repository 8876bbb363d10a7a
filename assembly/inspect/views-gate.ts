// Cheap gates: does a window of normalised text look as if it hid another text? One SIMD pass answers for all
// views by counting bit masks; what is benign pays for this pass alone.
//
//  leet      digits and signs of leetspeak beside letters: ≥ 8 within 64 bytes; amid letters or before two they count twice
//  spaced    three single letters at equal distance 2, 3 or 4 (`i g n`, `i.g.n`, `i, g, n`, `i - g - n`)
//  rot13     within 48 bytes the letters r g n b v, images of e t a o i, outnumber them by 7 : 4 (and are ≥ 9)
//  reversed  the digraphs ht gn dn uo outnumber th ng nd ou, whose mirrors they are, by 3 : 2, or within 64 bytes 3 : 1
//  escapes   ≥ 3 of `%`, `&` or `\`, of which one begins an escape
//  codes     16 bytes of only hexadecimal digits and separators, or of only dots and dashes, with a space
//            or comma: characters spelled as numbers, bits or Morse
//
// A wrongly opened gate costs one more view to read, never a verdict by itself.
// Bound: each byte is read once; the scalar twin has a loop over bytes instead of 16-byte blocks.

import { reserve } from "../memory";
import { copyFew, eq, fillFew, highNibbles, within } from "../vectors";

export const GATE_LEET: u32 = 1;
export const GATE_SPACED: u32 = 2;
export const GATE_ROT13: u32 = 4;
export const GATE_REVERSED: u32 = 8;
export const GATE_ESCAPES: u32 = 16;
export const GATE_CODES: u32 = 32;

/** The last block is copied here, so that a load never leaves the text's buffer. */
const lastBlock = reserve(16);

let leet: bool = false;
let spaced: i32 = 0;
let turned: bool = false;
let mirrored: bool = false;
let forward: i32 = 0;
let backward: i32 = 0;
let escapes: i32 = 0;
let codes: bool = false;

// Of the scalar twin. The block before, for what spans two: letters and bytes beyond ASCII as bits, counts of the last four blocks
// of e t a o i and of r g n b v as one byte each.
let before: u32 = 0;
let beforeHigh: u32 = 0;
let plainRecent: u32 = 0;
let rotRecent: u32 = 0;
let leetRecent: u32 = 0;
let rightRecent: u32 = 0;
let wrongRecent: u32 = 0;

/** The gates that `len` bytes of normalised text at `from` open: a bit set of GATE_*. */
export function gates(from: usize, len: i32): u32 {
  leet = false;
  leetRecent = 0;
  spaced = 0;
  turned = false;
  mirrored = false;
  rightRecent = 0;
  wrongRecent = 0;
  before = 0;
  beforeHigh = 0;
  plainRecent = 0;
  rotRecent = 0;
  forward = 0;
  backward = 0;
  escapes = 0;
  codes = false;
  if (ASC_FEATURE_SIMD) simd(from, len);
  else scalar(from, len);
  let open: u32 = 0;
  if (leet) open |= GATE_LEET;
  if (spaced >= 2) open |= GATE_SPACED;
  if (turned) open |= GATE_ROT13;
  if (mirrored || (backward >= 2 && backward * 2 > forward * 3)) open |= GATE_REVERSED;
  if (escapes >= 3) open |= GATE_ESCAPES;
  if (codes) open |= GATE_CODES;
  return open;
}

// Bits of a byte's first set, each a product of low and high nibbles.
const T: i8 = 1;
const H: i8 = 2;
const N: i8 = 4;
const G_D: i8 = 8;
const O: i8 = 16;
const U: i8 = 32;
const E_A_I: i8 = 64;
const R_V: i8 = -128;
// And of its second: digits, the signs of leetspeak `@`, `$` `!`, `|`, and `%` `&`, and the backslash.
const ODD: i8 = 15;
const ESCAPES: i8 = 48;
const BACKSLASH: i8 = 32;

/** The counts of `scalar`, all of them in locals: a global is a store and a load in each block. */
function simd(from: usize, len: i32): void {
  const lowFirst = i8x16(0, E_A_I, R_V, 0, T | G_D, U | E_A_I, R_V, G_D, H, E_A_I, 0, 0, 0, 0, N, O);
  const highFirst = i8x16(0, 0, 0, 0, 0, 0, H | N | G_D | O | E_A_I, T | U | R_V, 0, 0, 0, 0, 0, 0, 0, 0);
  const lowSecond = i8x16(3, 5, 1, 1, 5, 17, 17, 1, 1, 1, 0, 0, 8 | BACKSLASH, 0, 0, 0);
  const highSecond = i8x16(0, 0, 4 | 16, 1, 2, BACKSLASH, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0);
  let last = i8x16.splat(0);
  let letters: u32 = 0;
  let highs: u32 = 0;
  let odds: u32 = 0;
  let plain: u32 = 0;
  let rot: u32 = 0;
  let signs: u32 = 0;
  let lone = 0;
  let ahead = 0;
  let back = 0;
  let escaping = 0;
  let leetSeen = false;
  let rights: u32 = 0;
  let wrongs: u32 = 0;
  let mirrorSeen = false;
  let turnSeen = false;
  let codeSeen = false;
  let escapeSeen = false;
  for (let at = 0; at < len; at += 16) {
    const left = len - at;
    let source = from + at;
    if (left < 16) {
      // Zeros are in no set.
      fillFew(lastBlock, 0, 16);
      copyFew(lastBlock, source, <usize>left);
      source = lastBlock;
    }
    const block = v128.load(source);
    const low = v128.and(block, i8x16.splat(15));
    const high = highNibbles(block);
    const first = v128.and(i8x16.swizzle(lowFirst, low), i8x16.swizzle(highFirst, high));
    const second = v128.and(i8x16.swizzle(lowSecond, low), i8x16.swizzle(highSecond, high));
    const letter: u32 = i8x16.bitmask(within(block, 97, 26));
    const beyond: u32 = i8x16.bitmask(block);
    odds = (odds << 8) | <u32>oddsIn(letter, some(second, ODD));
    leetSeen = leetSeen || (odds * 0x01010101) >> 24 >= 8;
    lone += loneLetters(letters, letter);
    letters = letter;
    if (beyond | highs) {
      lone += lonePairs(highs, beyond);
      highs = beyond;
    }

    // Each pair is of neighbouring bits, so a shift by one says whether a byte and the one before it are a digraph.
    const before = i8x16.shuffle(last, first, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30);
    const right = popcnt(some(v128.and(i8x16.add(before, before), first), H | G_D | U));
    const wrong = popcnt(some(v128.and(i16x8.shr_u(before, 1), first), T | N | O));
    ahead += right;
    back += wrong;
    rights = (rights << 8) | <u32>right;
    wrongs = (wrongs << 8) | <u32>wrong;
    mirrorSeen = mirrorSeen || isMirrored(rights, wrongs);
    last = first;
    plain = (plain << 8) | <u32>popcnt(some(first, T | O | E_A_I));
    const gb = v128.or(eq(block, 0x67), eq(block, 0x62));
    rot = (rot << 8) | <u32>popcnt(some(first, N | R_V) | i8x16.bitmask(gb));
    turnSeen = turnSeen || isTurned(plain, rot);

    const sign = some(second, ESCAPES);
    if (sign | (signs & 0x8000)) {
      escaping += popcnt(sign);
      escapeSeen =
        escapeSeen ||
        isEscape(source, min(left, 16), sign, signs >> 15, at > 0 ? load<u8>(from + at - 1) : 0);
    }
    signs = sign;
    // A letter that is no hexadecimal digit rules codes out, and nearly every block has one of these.
    if (left >= 16 && !v128.any_true(v128.and(first, i8x16.splat(T | H | N | O | U)))) {
      const gap: u32 = i8x16.bitmask(v128.or(eq(block, 0x20), eq(block, 0x2c)));
      const hex: u32 = i8x16.bitmask(v128.or(within(block, 48, 10), within(block, 97, 6)));
      const dots: u32 = i8x16.bitmask(v128.or(v128.or(eq(block, 0x2e), eq(block, 0x2d)), eq(block, 0x2f)));
      codeSeen = codeSeen || isCode(hex, dots, gap);
    }
  }
  leet = leetSeen;
  spaced = lone;
  turned = turnSeen;
  mirrored = mirrorSeen;
  forward = ahead;
  backward = back;
  escapes = escapeSeen ? escaping : 0;
  codes = codeSeen;
}

/** The bytes that have some of `bits`. */
function some(set: v128, bits: i8): u32 {
  return 0xffff & ~(<u32>i8x16.bitmask(i8x16.eq(v128.and(set, i8x16.splat(bits)), i8x16.splat(0))));
}

/** Whether one of the signs at `sign` among `len` bytes begins an escape as decodeEscapes knows them, or the byte before. */
function isEscape(from: usize, len: i32, sign: u32, carried: u32, byteBefore: u32): bool {
  if (carried && begins(byteBefore, load<u8>(from))) return true;
  for (; sign; sign &= sign - 1) {
    const i = <i32>ctz(sign);
    if (i + 1 < len && begins(load<u8>(from + i), load<u8>(from + i + 1))) return true;
  }
  return false;
}

/** `%` and a hexadecimal digit, `&` and a letter or `#`, a backslash and `x` or `u`. */
function begins(sign: u32, next: u32): bool {
  if (sign == 0x25) return next - 48 < 10 || next - 97 < 6;
  if (sign == 0x26) return next == 0x23 || next - 97 < 26;
  return sign == 0x5c && (next == 0x78 || next == 0x75);
}

/** The same counts, made of masks over 16 bytes that are gathered one by one. */
function scalar(from: usize, len: i32): void {
  let last: u32 = 0;
  let escapeSeen = false;
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
      plain += i32(byte == 0x65 || byte == 0x74 || byte == 0x61 || byte == 0x6f || byte == 0x69);
      rot += i32(byte == 0x72 || byte == 0x67 || byte == 0x6e || byte == 0x62 || byte == 0x76);
      last = byte;
    }
    shape(letter, odd, high);
    if (width == 16 && isCode(hex, dots, gap)) codes = true;
    turn(plain, rot);
    forward += right;
    backward += wrong;
    rightRecent = (rightRecent << 8) | <u32>right;
    wrongRecent = (wrongRecent << 8) | <u32>wrong;
    if (isMirrored(rightRecent, wrongRecent)) mirrored = true;
  }
  if (!escapeSeen) escapes = 0;
}

/** th, ng, nd, ou */
function digraph(first: u32, second: u32): bool {
  return (
    (first == 0x74 && second == 0x68) ||
    (first == 0x6e && (second == 0x67 || second == 0x64)) ||
    (first == 0x6f && second == 0x75)
  );
}

/** Takes in a block's letters, leetspeak digits and signs, and bytes beyond ASCII. */
function shape(letter: u32, odd: u32, high: u32): void {
  leetRecent = (leetRecent << 8) | <u32>oddsIn(letter, odd);
  if ((leetRecent * 0x01010101) >> 24 >= 8) leet = true;
  spaced += loneLetters(before, letter);
  before = letter;
  if (high | beforeHigh) {
    spaced += lonePairs(beforeHigh, high);
    beforeHigh = high;
  }
}

/** Digits and signs of leetspeak beside letters; those amid letters, or two of them before two, count twice. */
function oddsIn(letter: u32, odd: u32): i32 {
  if (odd == 0) return 0;
  return (
    popcnt(odd & (letter >> 1) & ((letter << 1) | (letter >> 2))) +
    popcnt(odd & (odd >> 1) & (letter << 1) & (letter >> 2)) +
    popcnt(odd & ((letter >> 1) | (letter << 1)))
  );
}

/** Lone letters with two more at equal distance behind them: of `last`, the block before, and of `letter`. */
function loneLetters(last: u32, letter: u32): i32 {
  // Bits 0–15: the block before; 16–31: this one. Counted are those whose neighbours are all known.
  const known = last | (letter << 16);
  const lone = known & ~(known << 1) & ~(known >> 1);
  if (popcnt(lone) < 3) return 0;
  return popcnt(
    lone &
      (((lone << 2) & (lone << 4)) | ((lone << 3) & (lone << 6)) | ((lone << 4) & (lone << 8))) &
      0x7fff8000,
  );
}

/** The same of characters of two bytes. */
function lonePairs(last: u32, high: u32): i32 {
  const wide = last | (high << 16);
  const pair = wide & (wide >> 1) & ~(wide << 1) & ~(wide >> 2);
  return popcnt(pair & (pair << 3) & (pair << 6) & 0x3fffc000);
}

function isCode(hex: u32, dots: u32, gap: u32): bool {
  return ((hex | gap) == 0xffff || (dots | gap) == 0xffff) && gap != 0 && gap != 0xffff;
}

/** Takes in a block's counts of e t a o i and r g n b v. */
function turn(plain: i32, rot: i32): void {
  plainRecent = (plainRecent << 8) | <u32>plain;
  rotRecent = (rotRecent << 8) | <u32>rot;
  if (isTurned(plainRecent, rotRecent)) turned = true;
}

/** Within 64 bytes three mirrored digraphs and at most one as it should be: one reversed sentence in a long text. */
function isMirrored(right: u32, wrong: u32): bool {
  return (right * 0x01010101) >> 24 <= 1 && (wrong * 0x01010101) >> 24 >= 3;
}

/** Whether r g n b v outnumber e t a o i, given the counts of the last blocks as bytes. */
function isTurned(plain: u32, rot: u32): bool {
  const rots = <i32>(((rot << 8) * 0x01010101) >> 24);
  return rots >= 9 && rots * 4 > <i32>(((plain << 8) * 0x01010101) >> 24) * 7;
}
