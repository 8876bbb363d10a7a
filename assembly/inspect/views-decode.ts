// The decoders of letters in disguise: leetspeak, rot13, reversed, upside down, spaced. Each reads one window and writes one text.
// They know nothing of gates or order.
//
// Bound: every decoder reads its input once, left to right, and writes no more bytes than it reads.
// None writes past `to + len of input`.
import { endOf, lenOf, ptrOf, Slice } from "../slice";
import { eq, within } from "../vectors";

// Leetspeak by byte from 0x20 to 0x7f; `.` keeps the byte.
const LEET = memory.data<u8>([
  0x20, 0x69, 0x22, 0x23, 0x73, 0x25, 0x26, 0x27, 0x63, 0x29, 0x2a, 0x74, 0x2c, 0x2d, 0x2e, 0x2f, 0x6f, 0x69,
  0x7a, 0x65, 0x61, 0x73, 0x67, 0x74, 0x62, 0x67, 0x3a, 0x3b, 0x63, 0x3d, 0x3e, 0x3f, 0x61,
]);

function isLetter(byte: u32): bool {
  return byte - 97 < 26;
}

export function isDigit(byte: u32): bool {
  return byte - 48 < 10;
}

// Where `1` is l: by the letter before, none and then a to z, bits for what follows: none, a to z, another `1`. Counted over the
// English words of training/ (what stands there more often, i or l): words with both written as `1` come out right 94 times
// in 100, with one of them 95 and 99.
const LONG = memory.data<u32>([
  0xa209222, 0xae99b6f, 0xa208222, 0x8208222, 0xa000220, 0xa09b27b, 0x2008202, 0xa008220, 0x2008200, 0xa18ba37, 0x0000000,
  0x2000222, 0xa008223, 0x0000021, 0xa008200, 0xa78b2b3, 0xa208222, 0x0000001, 0xa000201, 0xa000223, 0x2000220, 0x83090b3,
  0x0000000, 0x2000020, 0x0000000, 0x0008020, 0x0000020,
]); // biome-ignore format: rows of a table

/**
 * Leetspeak read as letters: 0 o, 1 i or l, 3 e, 4 a, 5 s, 7 t, @ a, $ s, ! i, + t, | l … `!` counts only before a letter or
 * another disguise, a bracket only between two, `$` and `+` beside one.
 */
export function decodeLeet(from: Slice, to: usize): i32 {
  const ptr = ptrOf(from);
  const len = lenOf(from);
  let i = 0;
  if (ASC_FEATURE_SIMD) {
    for (; i + 16 <= len; i += 16) {
      const block = v128.load(ptr + i);
      v128.store(to + i, block);
      for (let signs = disguises(block); signs; signs &= signs - 1) {
        const at = i + <i32>ctz(signs);
        store<u8>(to + at, <u8>unmasked(ptr, at, len, to));
      }
    }
  }
  for (; i < len; i++) store<u8>(to + i, <u8>unmasked(ptr, i, len, to));
  return len;
}

/** The letter that the byte at `i` of the text at `ptr` stands for, or itself; what is before it is read at `to`. */
function unmasked(ptr: usize, i: i32, len: i32, to: usize): u32 {
  const byte: u32 = load<u8>(ptr + i);
  const before: u32 = i > 0 ? load<u8>(to + i - 1) : 32;
  const next: u32 = i + 1 < len ? load<u8>(ptr + i + 1) : 32;
  if (byte == 0x31 || byte == 0x7c) return isLong(before, next) ? 0x6c : 0x69;
  if (isDigit(byte) || byte == 0x40) return load<u8>(LEET + (byte - 32));
  const goesOn = isLetter(next) || isSign(next);
  const counts =
    byte == 0x24 || byte == 0x2b
      ? goesOn || isLetter(before)
      : goesOn && (byte == 0x21 || ((byte == 0x28 || byte == 0x3c) && isLetter(before)));
  return counts ? load<u8>(LEET + (byte - 32)) : byte;
}

/** Whether `1` between the letter `before` and the byte `next` is an l. */
function isLong(before: u32, next: u32): bool {
  const row: usize = isLetter(before) ? before - 96 : 0;
  let bit: u32 = 0;
  if (next == 0x31 || next == 0x7c) bit = 27;
  else {
    const letter: u32 = isSign(next) ? load<u8>(LEET + (next - 32)) : next;
    if (isLetter(letter)) bit = letter - 96;
  }
  return ((load<u32>(LONG + (row << 2)) >> bit) & 1) != 0;
}

/** Whether a byte stands for a letter wherever it is. */
function isSign(byte: u32): bool {
  return isDigit(byte) || byte == 0x40 || byte == 0x24 || byte == 0x2b || byte == 0x7c;
}

/** The bytes of a block that leetspeak might mean otherwise. */
function disguises(block: v128): u32 {
  const pairs = v128.or(v128.or(eq(block, 0x21), eq(block, 0x24)), v128.or(eq(block, 0x28), eq(block, 0x2b)));
  const others = v128.or(v128.or(eq(block, 0x3c), eq(block, 0x40)), eq(block, 0x7c));
  return i8x16.bitmask(v128.or(within(block, 48, 10), v128.or(pairs, others)));
}

/** Every ASCII letter turned by 13 places. */
export function decodeRot13(from: Slice, to: usize): i32 {
  const ptr = ptrOf(from);
  const len = lenOf(from);
  let i = 0;
  if (ASC_FEATURE_SIMD) {
    for (; i + 16 <= len; i += 16) {
      const block = v128.load(ptr + i);
      const on = v128.and(within(block, 97, 13), i8x16.splat(13));
      const back = v128.and(within(block, 110, 13), i8x16.splat(13));
      v128.store(to + i, i8x16.sub(i8x16.add(block, on), back));
    }
  }
  for (; i < len; i++) {
    const byte: u32 = load<u8>(ptr + i);
    store<u8>(to + i, <u8>(isLetter(byte) ? (byte < 110 ? byte + 13 : byte - 13) : byte));
  }
  return len;
}

/** The characters of the window from last to first. */
export function decodeReversed(from: Slice, to: usize): i32 {
  reverseInto(ptrOf(from), lenOf(from), to);
  return lenOf(from);
}

/** The characters of the window from last to first, those put right that are other letters upside down. */
export function decodeTurned(from: Slice, to: usize): i32 {
  const len = decodeReversed(from, to);
  for (let at = to; at < to + len; at++) {
    const byte: u32 = load<u8>(at);
    if (byte == 0x6e || byte == 0x75) store<u8>(at, <u8>(byte ^ 0x1b));
    else if (byte == 0x62 || byte == 0x71) store<u8>(at, <u8>(byte ^ 0x13));
    else if (byte == 0x64 || byte == 0x70) store<u8>(at, <u8>(byte ^ 0x14));
  }
  return len;
}

/** Every word reversed, the words in their places. */
export function decodeReversedWords(from: Slice, to: usize): i32 {
  const ptr = ptrOf(from);
  const len = lenOf(from);
  let start = 0;
  for (let i = 0; i <= len; i++) {
    if (i < len && load<u8>(ptr + i) != 32) continue;
    reverseInto(ptr + start, i - start, to + start);
    if (i < len) store<u8>(to + i, 32);
    start = i + 1;
  }
  return len;
}

function reverseInto(ptr: usize, len: i32, to: usize): void {
  let at = 0;
  while (at < len) {
    if (ASC_FEATURE_SIMD && at + 16 <= len) {
      const block = v128.load(ptr + at);
      if (!i8x16.bitmask(block)) {
        at += 16;
        v128.store(
          to + (len - at),
          i8x16.shuffle(block, block, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
        );
        continue;
      }
    }
    let width = 1;
    while (at + width < len && (load<u8>(ptr + at + width) & 0xc0) == 0x80) width++;
    for (let i = 0; i < width; i++) store<u8>(to + (len - at - width) + i, load<u8>(ptr + at + i));
    at += width;
  }
}

/**
 * Single letters at equal distance joined to words: `i g n o r e`, `i.g.n`, `i - g - n`. The separator is
 * whatever stands between the first two letters (1 to 3 bytes, no letter or digit) and must stay the same;
 * at least 3 letters, or 2 right
 * after another run unless two spaces are between them, which end the word of any other separator.
 */
export function decodeSpaced(from: Slice, to: usize): i32 {
  const end = endOf(from);
  let at = ptrOf(from);
  const start = at;
  let out = to;
  let joining = false;
  while (at < end) {
    if (ASC_FEATURE_SIMD && at + 16 <= end) {
      const plain = copyPlain(at, out, out == to || load<u8>(out - 1) != 32);
      if (plain) {
        // A letter in between ends the run.
        joining = joining && !anyWordByte(at, plain);
        at += plain;
        out += plain;
        continue;
      }
    }
    const width = letterWidth(at, end);
    const alone = width > 0 && (at == start || !isWordByte(load<u8>(at - 1)));
    const gap = alone ? gapWidth(at + width, end) : 0;
    if (gap == 0 || runLength(at, width, gap, end) < (joining && !isWide(at + width, gap) ? 2 : 3)) {
      const byte = load<u8>(at++);
      if (width > 0) joining = false;
      if (byte != 32 || out == to || load<u8>(out - 1) != 32) store<u8>(out++, byte);
      continue;
    }
    const separator = at + width;
    joining = true;
    while (true) {
      const w = letterWidth(at, end);
      memory.copy(out, at, w);
      out += w;
      at += w;
      if (!joins(at, separator, gap, end)) break;
      at += gap;
    }
  }
  return <i32>(out - to);
}

/**
 * Copies the 16 bytes at `at`, all up to the first that may be a lone letter, or a second space; returns how many bytes
 * are before it. `first`: a space at `at` is no second one.
 */
function copyPlain(at: usize, to: usize, first: bool): i32 {
  const block = v128.load(at);
  const beyond: u32 = i8x16.bitmask(block);
  const words: u32 = beyond | i8x16.bitmask(v128.or(within(block, 97, 26), within(block, 48, 10)));
  const spaces: u32 = i8x16.bitmask(eq(block, 32));
  const lone = words & ~(words << 1) & (beyond | ~(words >> 1));
  const second = spaces & ((spaces << 1) | u32(!first));
  v128.store(to, block);
  return <i32>ctz(lone | second | 0x10000);
}

function anyWordByte(from: usize, len: i32): bool {
  for (let i = 0; i < len; i++) if (isWordByte(load<u8>(from + i))) return true;
  return false;
}

/** An ASCII letter or digit, or a byte beyond ASCII. */
export function isWordByte(byte: u32): bool {
  return isLetter(byte) || isDigit(byte) || byte >= 0x80;
}

/** Bytes of the single character at `at`, if it is a letter, a digit or beyond ASCII; else 0. */
function letterWidth(at: usize, end: usize): usize {
  const byte: u32 = load<u8>(at);
  if (!isWordByte(byte)) return 0;
  let width: usize = 1;
  if (byte >= 0x80) while (at + width < end && (load<u8>(at + width) & 0xc0) == 0x80) width++;
  return width;
}

function gapWidth(at: usize, end: usize): usize {
  let width: usize = 0;
  while (width < 4 && at + width < end && !isWordByte(load<u8>(at + width))) width++;
  return width > 3 || at + width >= end ? 0 : width;
}

/** Whether the `gap` bytes between two letters are two spaces: the most that a gapped text has, and what ends most words. */
function isWide(at: usize, gap: usize): bool {
  return gap == 2 && load<u16>(at) == 0x2020;
}

/** Whether the separator stands at `at`, one lone letter follows it, and the separator is not longer there. */
function joins(at: usize, separator: usize, gap: usize, end: usize): bool {
  if (at + gap >= end || memory.compare(at, separator, gap) != 0) return false;
  const width = letterWidth(at + gap, end);
  if (width == 0) return false;
  const after = at + gap + width;
  return after >= end || !isWordByte(load<u8>(after));
}

/** How many letters the run has, counted up to 3. */
function runLength(at: usize, width: usize, gap: usize, end: usize): i32 {
  const separator = at + width;
  let count = 1;
  let next = separator;
  while (count < 3 && joins(next, separator, gap, end)) {
    count++;
    next += gap;
    next += letterWidth(next, end);
  }
  return count;
}
