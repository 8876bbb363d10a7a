// Walks the inside of a JSON string at full speed: 16 bytes a step where the host has SIMD, 8 where not.
//
// These functions only ever move forward over text that needs no decision. They never report an error: where
// they cannot go on they stop at a character boundary, and the scanner's byte-wise machine (one spec for both
// builds and for every split of the input) decides what that byte is. Every load lies in [p, end).
//
// UTF-8 is checked with the look-up method of Keiser and Lemire, "Validating UTF-8 In Less Than One
// Instruction Per Byte" (2021): three 16-entry tables, indexed by the nibbles of two neighbouring bytes, give
// one bit per kind of mistake, and their AND is zero exactly where a pair of bytes is possible.
//
// Measured in V8 (bench/json.ts, whole scanner): 1.5 GB/s on English chat with 6 % escapes, 1.5 on Russian and
// 1.7 on Japanese; without SIMD 1.3, 0.18 and 0.36 GB/s.

import { highNibbles } from "../vectors";

const QUOTE: i32 = 34;
const BACKSLASH: i32 = 92;
const EACH: u64 = 0x0101010101010101;
const HIGH: u64 = 0x8080808080808080;

/** The first byte in [p, end) that is a quote, a backslash, a control character or not ASCII; or `end`. */
export function skipText(p: usize, end: usize): usize {
  if (ASC_FEATURE_SIMD) {
    while (p + 16 <= end) {
      const v = v128.load(p);
      const found = v128.or(
        v128.or(i8x16.eq(v, i8x16.splat(<i8>QUOTE)), i8x16.eq(v, i8x16.splat(<i8>BACKSLASH))),
        i8x16.lt_s(v, i8x16.splat(32)), // signed: control characters, and bytes from 0x80 on
      );
      const mask = i8x16.bitmask(found);
      if (mask) return p + ctz(mask);
      p += 16;
    }
  } else {
    while (p + 8 <= end) {
      const v = load<u64>(p);
      const found =
        lessThan(v ^ (EACH * QUOTE), 1) | lessThan(v ^ (EACH * BACKSLASH), 1) | lessThan(v, 32) | v;
      const mask = found & HIGH;
      // Borrows only spread upwards, so the lowest mark is always a true one.
      if (mask) return p + <usize>(ctz(mask) >> 3);
      p += 8;
    }
  }
  while (p < end) {
    const c = load<u8>(p);
    if (c < 32 || c >= 128 || c == QUOTE || c == BACKSLASH) break;
    p++;
  }
  return p;
}

/** The high bit of every byte of `v` below `n` (exact up to the lowest such byte). */
function lessThan(v: u64, n: u64): u64 {
  return (v - EACH * n) & ~v;
}

/**
 * `p` is at the first byte of a character. Skips valid UTF-8 in whole blocks, up to a quote, a backslash, a
 * control character, a block of ASCII, a mistake, or fewer than 16 bytes left; stops at a character boundary.
 * Moves nowhere without SIMD.
 */
export function skipUtf8(p: usize, end: usize): usize {
  if (ASC_FEATURE_SIMD) {
    let before = i8x16.splat(0);
    while (p + 16 <= end) {
      const v = v128.load(p);
      const mistakes = i8x16.bitmask(i8x16.ne(mistakesIn(v, before), i8x16.splat(0)));
      const special = i8x16.bitmask(
        v128.or(
          v128.or(i8x16.eq(v, i8x16.splat(<i8>QUOTE)), i8x16.eq(v, i8x16.splat(<i8>BACKSLASH))),
          i8x16.le_u(v, i8x16.splat(31)),
        ),
      );
      if (special) {
        // A character that is cut short shows its mistake at the byte after it, so include the special byte.
        const at = ctz(special);
        return mistakes & ((2 << at) - 1) ? boundary(p, before) : p + at;
      }
      if (mistakes) return boundary(p, before);
      p += 16;
      if (!i8x16.bitmask(v)) return p;
      before = v;
    }
    return boundary(p, before);
  }
  return p;
}

/** `p`, or the start of the character that the block `before` p left unfinished. */
function boundary(p: usize, before: v128): usize {
  if (i8x16.extract_lane_u(before, 15) >= 0xc0) return p - 1;
  if (i8x16.extract_lane_u(before, 14) >= 0xe0) return p - 2;
  if (i8x16.extract_lane_u(before, 13) >= 0xf0) return p - 3;
  return p;
}

// Bits of the tables: 01 too short, 02 too long, 04 overlong (3 bytes), 08 above U+10FFFF, 10 surrogate,
// 20 overlong (2 bytes), 40 overlong (4 bytes) or above U+10FFFF, 80 two continuations in a row.
function mistakesIn(v: v128, before: v128): v128 {
  const nibble = i8x16.splat(15);
  const back1 = i8x16.shuffle(before, v, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30);
  const back2 = i8x16.shuffle(before, v, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29);
  const back3 = i8x16.shuffle(before, v, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28);
  const high1 = i8x16.swizzle(
    i8x16(2, 2, 2, 2, 2, 2, 2, 2, -128, -128, -128, -128, 0x21, 0x01, 0x15, 0x49),
    highNibbles(back1),
  );
  const low1 = i8x16.swizzle(
    i8x16(-25, -93, -125, -125, -117, -53, -53, -53, -53, -53, -53, -53, -53, -37, -53, -53),
    v128.and(back1, nibble),
  );
  const high2 = i8x16.swizzle(i8x16(1, 1, 1, 1, 1, 1, 1, 1, -26, -82, -70, -70, 1, 1, 1, 1), highNibbles(v));
  const pairs = v128.and(v128.and(high1, low1), high2);
  // The third and fourth byte of a character must be two continuations in a row, and only they may.
  const long = v128.or(i8x16.sub_sat_u(back2, i8x16.splat(0x60)), i8x16.sub_sat_u(back3, i8x16.splat(0x70)));
  return v128.xor(v128.and(long, i8x16.splat(-128)), pairs);
}

/** The length (2 to 4) of the valid character of more than one byte at `p`; 0 if it is cut off or invalid. */
export function utf8Length(p: usize, end: usize): i32 {
  if (p + 4 > end) {
    // Rare: the last bytes of a chunk. Two bytes can still be decided; the rest is left to the machine.
    if (p + 2 > end) return 0;
    const c = load<u8>(p);
    return c >= 0xc2 && c < 0xe0 && (load<u8>(p, 1) & 0xc0) == 0x80 ? 2 : 0;
  }
  const v = load<u32>(p);
  const lead = v & 0xff;
  if (lead < 0xe0) return lead >= 0xc2 && (v & 0xc000) == 0x8000 ? 2 : 0;
  const second = (v >> 8) & 0xff;
  if (lead < 0xf0) {
    if ((v & 0xc0c000) != 0x808000) return 0;
    if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second >= 0xa0)) return 0;
    return 3;
  }
  if (lead > 0xf4 || (v & 0xc0c0c000) != 0x80808000) return 0;
  if ((lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second >= 0x90)) return 0;
  return 4;
}
