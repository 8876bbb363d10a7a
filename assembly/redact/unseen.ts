// Characters that are not seen and can stand within a word (blanks.ts): soft hyphens, zero-width spaces and joiners. They keep
// an address from a detector, and from nobody else.
import { blank } from "./blanks";

/** It may go on past the end. */
export const CUT: i32 = -1;

const BACKSLASH: u32 = 92;
/** First bytes, in UTF-8, of those that are looked for: U+00AD, U+200B to U+206F, U+FE00 to U+FEFF. */
const SOFT: u32 = 0xc2;
const GENERAL: u32 = 0xe2;
const SPECIAL: u32 = 0xef;

/** Where in [p, end) the first escape begins (if there are `escapes`), or the first unseen character; or `end`. */
export function findUnseen(p: usize, end: usize, whole: bool, escapes: bool): usize {
  while (true) {
    p = findLead(p, end);
    if (p >= end) return end;
    if (load<u8>(p) == BACKSLASH ? escapes : unseen(p, end, whole) != 0) return p;
    p++;
  }
}

function findLead(p: usize, end: usize): usize {
  if (ASC_FEATURE_SIMD) {
    while (p + 16 <= end) {
      const v = v128.load(p);
      const ascii = i8x16.eq(v, i8x16.splat(<i8>BACKSLASH));
      // Most text is ASCII: one look at all highest bits.
      if (i8x16.bitmask(v128.or(v, ascii))) {
        const general = v128.or(i8x16.eq(v, i8x16.splat(<i8>GENERAL)), i8x16.eq(v, i8x16.splat(<i8>SPECIAL)));
        const mask = i8x16.bitmask(v128.or(ascii, v128.or(general, i8x16.eq(v, i8x16.splat(<i8>SOFT)))));
        if (mask) return p + ctz(mask);
      }
      p += 16;
    }
  }
  while (p < end && !isLead(load<u8>(p))) p++;
  return p;
}

function isLead(b: u32): bool {
  return b == BACKSLASH || b == SOFT || b == GENERAL || b == SPECIAL;
}

/** The bytes of the unseen character at `p`; 0: there is none; CUT. With `whole`, nothing is cut. */
export function unseen(p: usize, end: usize, whole: bool): i32 {
  const a = <u32>load<u8>(p);
  const left = end - p;
  const b = left > 1 ? <u32>load<u8>(p, 1) : 0;
  if (left > 2 || (left == 2 && a == SOFT)) return max(-blank(a, b, left > 2 ? <u32>load<u8>(p, 2) : 0), 0);
  return whole || (left == 2 && b != 0x80 && b != 0x81 && b != 0xb8 && b != 0xbb) ? 0 : CUT;
}

/** Whether a code point is one of these characters. */
export function isUnseen(point: u32): bool {
  if (point < 0x800 || point > 0xffff) return point == 0xad;
  const lead = 0xe0 | (point >> 12);
  return isLead(lead) && blank(lead, 0x80 | ((point >> 6) & 63), 0x80 | (point & 63)) < 0;
}
