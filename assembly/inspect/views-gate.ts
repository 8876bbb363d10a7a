// Cheap gates: does a window of normalised text look as if it hid another text? One SIMD pass answers for all
// views by counting bit masks; what is benign pays for this pass alone.
//
//  leet      a digit or sign of leetspeak amid letters, or before two of them: ≥ 4 within 64 bytes
//  spaced    three single letters at equal distance 2, 3 or 4 (`i g n`, `i.g.n`, `i, g, n`, `i - g - n`)
//  rot13     within 48 bytes the letters r g n b v, images of e t a o i, outnumber them by 7 : 4 (and are ≥ 9)
//  reversed  the digraphs ht gn dn uo outnumber th ng nd ou, whose mirrors they are, by 3 : 2
//  escapes   ≥ 3 of `%`, `&` or `\`
//  codes     16 bytes of only hexadecimal digits and separators, or of only dots and dashes, with a space
//            or comma: characters spelled as numbers, bits or Morse
//
// A wrongly opened gate costs one more view to read, never a verdict by itself.
// Bound: each byte is read once; the scalar twin has a loop over bytes instead of 16-byte blocks.

import { reserve } from "../memory";

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
let forward: i32 = 0;
let backward: i32 = 0;
let escapes: i32 = 0;
let codes: i32 = 0;

// The block before, for what spans two: letters and bytes beyond ASCII as bits, counts of the last four blocks
// of e t a o i and of r g n b v as one byte each.
let before: u32 = 0;
let beforeHigh: u32 = 0;
let plainRecent: u32 = 0;
let rotRecent: u32 = 0;
let leetRecent: u32 = 0;

/** The gates that `len` bytes of normalised text at `from` open: a bit set of GATE_*. */
export function gates(from: usize, len: i32): u32 {
  leet = false;
  leetRecent = 0;
  spaced = 0;
  turned = false;
  before = 0;
  beforeHigh = 0;
  plainRecent = 0;
  rotRecent = 0;
  forward = 0;
  backward = 0;
  escapes = 0;
  codes = 0;
  if (ASC_FEATURE_SIMD) simd(from, len);
  else scalar(from, len);
  let open: u32 = 0;
  if (leet) open |= GATE_LEET;
  if (spaced >= 2) open |= GATE_SPACED;
  if (turned) open |= GATE_ROT13;
  if (backward >= 2 && backward * 2 > forward * 3) open |= GATE_REVERSED;
  if (escapes >= 3) open |= GATE_ESCAPES;
  if (codes) open |= GATE_CODES;
  return open;
}

function simd(from: usize, len: i32): void {
  let carryT: u32 = 0;
  let carryH: u32 = 0;
  let carryN: u32 = 0;
  let carryGD: u32 = 0;
  let carryO: u32 = 0;
  let carryU: u32 = 0;
  let at: i32 = 0;
  while (at < len) {
    const left = len - at;
    let live: u32 = 0xffff;
    let source = from + at;
    if (left < 16) {
      live = (1 << left) - 1;
      memory.copy(lastBlock, source, left);
      source = lastBlock;
    }
    const block = v128.load(source);
    at += 16;
    const letter: u32 = live & i8x16.bitmask(i8x16.lt_u(i8x16.sub(block, i8x16.splat(97)), i8x16.splat(26)));
    const digit = i8x16.lt_u(i8x16.sub(block, i8x16.splat(48)), i8x16.splat(10));
    const sign = v128.or(
      v128.or(eq(block, 0x40), eq(block, 0x24)),
      v128.or(eq(block, 0x21), eq(block, 0x7c)),
    );
    shape(letter, live & i8x16.bitmask(v128.or(digit, sign)), live & i8x16.bitmask(block));
    if (live == 0xffff) {
      const gap: u32 = i8x16.bitmask(v128.or(eq(block, 0x20), eq(block, 0x2c)));
      const hex: u32 = i8x16.bitmask(
        v128.or(digit, i8x16.lt_u(i8x16.sub(block, i8x16.splat(97)), i8x16.splat(6))),
      );
      const dots: u32 = i8x16.bitmask(v128.or(v128.or(eq(block, 0x2e), eq(block, 0x2d)), eq(block, 0x2f)));
      code(hex, dots, gap);
    }

    const t = mask(block, 0x74, live);
    const h = mask(block, 0x68, live);
    const n = mask(block, 0x6e, live);
    const gd = live & i8x16.bitmask(v128.or(eq(block, 0x67), eq(block, 0x64)));
    const o = mask(block, 0x6f, live);
    const u = mask(block, 0x75, live);
    forward += popcnt((((t << 1) | carryT) & h) | (((n << 1) | carryN) & gd) | (((o << 1) | carryO) & u));
    backward += popcnt((((h << 1) | carryH) & t) | (((gd << 1) | carryGD) & n) | (((u << 1) | carryU) & o));
    carryT = t >> 15;
    carryH = h >> 15;
    carryN = n >> 15;
    carryGD = gd >> 15;
    carryO = o >> 15;
    carryU = u >> 15;
    const eai = v128.or(v128.or(eq(block, 0x65), eq(block, 0x61)), eq(block, 0x69));
    const rgbv = v128.or(
      v128.or(eq(block, 0x72), eq(block, 0x67)),
      v128.or(eq(block, 0x62), eq(block, 0x76)),
    );
    turn(popcnt(t | o | (live & i8x16.bitmask(eai))), popcnt(n | (live & i8x16.bitmask(rgbv))));
    escapes += popcnt(
      live & i8x16.bitmask(v128.or(v128.or(eq(block, 0x25), eq(block, 0x26)), eq(block, 0x5c))),
    );
  }
}

function eq(block: v128, byte: i8): v128 {
  return i8x16.eq(block, i8x16.splat(byte));
}

function mask(block: v128, byte: i8, live: u32): u32 {
  return live & i8x16.bitmask(i8x16.eq(block, i8x16.splat(byte)));
}

/** The same counts, made of masks over 16 bytes that are gathered one by one. */
function scalar(from: usize, len: i32): void {
  let last: u32 = 0;
  for (let at = 0; at < len; at += 16) {
    const width = min(16, len - at);
    let letter: u32 = 0;
    let high: u32 = 0;
    let odd: u32 = 0;
    let plain = 0;
    let rot = 0;
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
      forward += i32(digraph(last, byte));
      backward += i32(digraph(byte, last));
      plain += i32(byte == 0x65 || byte == 0x74 || byte == 0x61 || byte == 0x6f || byte == 0x69);
      rot += i32(byte == 0x72 || byte == 0x67 || byte == 0x6e || byte == 0x62 || byte == 0x76);
      last = byte;
    }
    shape(letter, odd, high);
    if (width == 16) code(hex, dots, gap);
    turn(plain, rot);
  }
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
  const odds =
    popcnt(odd & (letter >> 1) & ((letter << 1) | (letter >> 2))) +
    popcnt(odd & (odd >> 1) & (letter << 1) & (letter >> 2));
  leetRecent = (leetRecent << 8) | <u32>odds;
  if ((leetRecent * 0x01010101) >> 24 >= 4) leet = true;
  // Bits 0–15: the block before; 16–31: this one. Counted are those whose neighbours are all known.
  const known = before | (letter << 16);
  const lone = known & ~(known << 1) & ~(known >> 1);
  spaced += popcnt(
    lone &
      (((lone << 2) & (lone << 4)) | ((lone << 3) & (lone << 6)) | ((lone << 4) & (lone << 8))) &
      0x7fff8000,
  );
  before = letter;
  if (high | beforeHigh) {
    const wide = beforeHigh | (high << 16);
    const pair = wide & (wide >> 1) & ~(wide << 1) & ~(wide >> 2);
    spaced += popcnt(pair & (pair << 3) & (pair << 6) & 0x3fffc000);
    beforeHigh = high;
  }
}

function code(hex: u32, dots: u32, gap: u32): void {
  codes |= i32(((hex | gap) == 0xffff || (dots | gap) == 0xffff) && gap != 0 && gap != 0xffff);
}

/** Takes in a block's counts of e t a o i and r g n b v. */
function turn(plain: i32, rot: i32): void {
  plainRecent = (plainRecent << 8) | <u32>plain;
  rotRecent = (rotRecent << 8) | <u32>rot;
  const rots = <i32>(((rotRecent << 8) * 0x01010101) >> 24);
  if (rots >= 9 && rots * 4 > <i32>(((plainRecent << 8) * 0x01010101) >> 24) * 7) turned = true;
}
