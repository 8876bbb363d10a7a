// Base64, base32, hexadecimal and binary islands in the RAW text (normal form has lost the case): runs of 16 or more characters
// of the alphabet, decoded in segments of 64, each by the smallest alphabet that has all of it; a segment that is not text (controls, broken UTF-8) is dropped.
//
// Bound: a group of 64 characters is classified once; a run is walked and decoded once, a long one in parts. What comes out is at most 3/4 of
// what was read, plus one space for each run (≥ 16 characters).
import { reserve } from "../memory";
import { eq, highNibbles, padded } from "../vectors";

/** The shortest run that is looked at, in characters. */
export const ISLAND_MIN: i32 = 16;
const SEGMENT: i32 = 64;
/** A longer run is decoded in parts, so that stopping and going on again does not walk to its end each time. */
const RUN_MAX: usize = 128 * SEGMENT;

// Alphabet by byte: value + 1, or 0. `-` and `_` are the URL-safe 62 and 63.
const values = reserve(256);
for (let i = 0; i < 26; i++) {
  store<u8>(values + 65 + i, <u8>(i + 1));
  store<u8>(values + 97 + i, <u8>(i + 27));
}
for (let i = 0; i < 10; i++) store<u8>(values + 48 + i, <u8>(i + 53));
store<u8>(values + 43, 63);
store<u8>(values + 45, 63);
store<u8>(values + 47, 64);
store<u8>(values + 95, 64);

const GROUP: usize = 64;
const lastGroup = reserve(GROUP);

/** Where reading stopped; `decodeIslands` goes on from there when called with it. */
export let islandEnd: usize = 0;

/**
 * Decodes the islands between `from` and `end` to `to`, stopping when fewer than 64 of `max` bytes are left.
 * Returns the bytes written and sets `islandEnd`. `escaped`: `\n` and its kin are not part of a run.
 */
export function decodeIslands(from: usize, end: usize, escaped: bool, to: usize, max: i32): i32 {
  let out = to;
  const full = to + max - 64;
  let at = from;
  let floor = from;
  while (at < end && out <= full) {
    const start = nextRun(at, end);
    if (start >= end) {
      at = end;
      break;
    }
    let run = runStart(start, floor, escaped, end);
    const part = run + RUN_MAX;
    let stop = runEnd(start, min(end, part));
    // An end too short to be a run of its own goes with this part.
    if (stop == part && <i32>(runEnd(stop, min(end, stop + ISLAND_MIN)) - stop) < ISLAND_MIN) {
      stop = runEnd(stop, end);
    }
    at = stop;
    floor = stop;
    if (<i32>(stop - run) < ISLAND_MIN) continue;
    if (load<u16>(run) == 0x7830) run += 2;
    const begun = out;
    while (run < stop && out <= full) {
      const len = min(SEGMENT, <i32>(stop - run));
      out = segment(run, len, out);
      run += len;
    }
    const over = stop >= end || !load<u8>(values + load<u8>(stop));
    if (out > begun && run >= stop && over) store<u8>(out++, 32);
    if (run < stop) at = run;
  }
  islandEnd = at;
  return <i32>(out - to);
}

/** The first place whose byte lies in a run of 16 bytes or more, not always the run's first; `end` if there is none. */
function nextRun(from: usize, end: usize): usize {
  if (ASC_FEATURE_SIMD) return nextRunOfGroups(from, end);
  let run: i32 = 0;
  for (let at = from; at < end; at++) {
    run = load<u8>(values + load<u8>(at)) ? run + 1 : 0;
    if (run >= ISLAND_MIN) return at;
  }
  return end;
}

function nextRunOfGroups(from: usize, end: usize): usize {
  /** Bytes of a run that ends with the group before. */
  let run: i32 = 0;
  for (let at = from; at < end; at += GROUP) {
    // Zeros are in no run.
    const group = at + GROUP > end ? padded(lastGroup, at, end - at, GROUP) : at;
    const others =
      <u64>othersIn(group) |
      ((<u64>othersIn(group + 16)) << 16) |
      ((<u64>othersIn(group + 32)) << 32) |
      ((<u64>othersIn(group + 48)) << 48);
    if (run + <i32>ctz(others) >= ISLAND_MIN) return run ? at - 1 : at;
    // Bit i is left where bytes i to i + 15 are in a run.
    let runs = ~others;
    runs &= runs >> 1;
    runs &= runs >> 2;
    runs &= runs >> 4;
    runs &= runs >> 8;
    if (runs) return at + <usize>ctz(runs);
    run = <i32>clz(others);
  }
  return end;
}

/** The bytes of a block that are not of the alphabet. */
function othersIn(ptr: usize): u32 {
  const block = v128.load(ptr);
  // Sets as products: for each low nibble the rows (high nibbles) in which its byte is of the alphabet, as bits. Rows: 1 `+ - /`, 2
  // digits, 4 from @ and `, 8 from P, 16 from p.
  const rows = i8x16.swizzle(
    i8x16(26, 30, 30, 30, 30, 30, 30, 30, 30, 30, 28, 5, 4, 5, 4, 13),
    v128.and(block, i8x16.splat(15)),
  );
  const row = i8x16.swizzle(i8x16(0, 0, 1, 2, 4, 8, 4, 16, 0, 0, 0, 0, 0, 0, 0, 0), highNibbles(block));
  return 0xffff & i8x16.bitmask(eq(v128.and(rows, row), 0));
}

function runStart(inside: usize, from: usize, escaped: bool, end: usize): usize {
  let start = inside;
  while (start > from && load<u8>(values + load<u8>(start - 1))) start--;
  if (escaped && start > from && load<u8>(start - 1) == 0x5c) {
    // The letter of an escape is no part of the run, nor are the digits of \uNNNN.
    start += load<u8>(start) == 0x75 ? 5 : 1;
  }
  return min(start, end);
}

function runEnd(inside: usize, end: usize): usize {
  let stop = inside;
  if (ASC_FEATURE_SIMD) {
    while (stop + 16 <= end) {
      const others = othersIn(stop);
      if (others) return stop + <usize>ctz(others);
      stop += 16;
    }
  }
  while (stop < end && load<u8>(values + load<u8>(stop))) stop++;
  return stop;
}

/** Decodes one segment to `to` if it is text; returns where the output ends. */
function segment(ptr: usize, len: i32, to: usize): usize {
  let binary = (len & 7) == 0;
  let hex = (len & 1) == 0;
  let base32 = true;
  for (let i = 0; i < len && (hex || base32); i++) {
    const byte: u32 = load<u8>(ptr + i);
    binary = binary && byte - 48 < 2;
    hex = hex && (byte - 48 < 10 || (byte | 32) - 97 < 6);
    base32 = base32 && (byte - 65 < 26 || byte - 50 < 6);
  }
  return asText(
    to,
    binary ? fromBits(ptr, len, to, 1) : hex ? fromHex(ptr, len, to) : fromBits(ptr, len, to, base32 ? 5 : 6),
  );
}

function fromHex(ptr: usize, len: i32, to: usize): usize {
  for (let i = 0; i < len; i += 2) {
    store<u8>(to + (i >> 1), <u8>((nibble(load<u8>(ptr + i)) << 4) | nibble(load<u8>(ptr + i + 1))));
  }
  return to + (len >> 1);
}

function nibble(byte: u32): u32 {
  return byte < 58 ? byte - 48 : (byte | 32) - 87;
}

/** Each character is `width` bits: 1, 5 or 6. Stops at the first byte that is not of a text, and then has nothing. */
function fromBits(ptr: usize, len: i32, to: usize, width: i32): usize {
  let bits: u32 = 0;
  let count = 0;
  let out = to;
  expected = 0;
  for (let i = 0; i < len; i++) {
    bits = (bits << width) | valueOf(load<u8>(ptr + i), width);
    count += width;
    if (count >= 8) {
      count -= 8;
      const byte = (bits >> count) & 0xff;
      // Most runs are words and paths: what they decode to is soon no text.
      if (!continues(byte, <i32>(out - to))) return to;
      store<u8>(out++, <u8>byte);
    }
  }
  return out;
}

function valueOf(byte: u32, width: i32): u32 {
  if (width == 6) return <u32>load<u8>(values + byte) - 1;
  return byte >= 65 ? byte - 65 : byte - (width == 5 ? 24 : 48);
}

/** A control character that is not in texts. */
function isControl(byte: u32): bool {
  return byte < 32 ? byte != 9 && byte != 10 && byte != 13 : byte == 127;
}

/** Bytes that the character in hand still wants. */
let expected: i32 = 0;

/** Whether `byte`, after `before` others, goes on with a text; a character that is cut at its beginning is tolerated. */
function continues(byte: u32, before: i32): bool {
  // UTF-16 has them.
  if (byte == 0) return true;
  if (byte < 0x80) return expected == 0 && !isControl(byte);
  if (byte < 0xc0) {
    if (expected == 0) return before <= 2;
    expected--;
    return true;
  }
  if (expected || byte > 0xf4) return false;
  expected = byte >= 0xf0 ? 3 : byte >= 0xe0 ? 2 : 1;
  return true;
}

/** Keeps the bytes if they are text, without the zero bytes of UTF-16; a character cut at an end is tolerated. */
function asText(from: usize, end: usize): usize {
  let zeros = 0;
  let out = from;
  expected = 0;
  for (let at = from; at < end; at++) {
    const byte: u32 = load<u8>(at);
    if (!continues(byte, <i32>(at - from))) return from;
    if (byte == 0) zeros++;
    else store<u8>(out++, <u8>byte);
  }
  // UTF-16 of ASCII is half zeros; fewer are binary data.
  if (zeros && zeros * 5 < <i32>(end - from) * 2) return from;
  return out;
}
