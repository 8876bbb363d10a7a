// Placeholders as they are written, `[EMAIL_1]`: how they are told in a text, whoever wrote it there.
import { TYPE_COUNT, typeName } from "./types";

/** No placeholder is longer: the longest name of a type, five digits, `_` and the brackets. */
export const PLACEHOLDER_MAX: i32 = 24;
const DIGITS_MAX: usize = 5;
export const OPEN: u32 = 91;
const CLOSE: u32 = 93;
const UNDERSCORE: u32 = 95;

/** What `placeholderEnd` read, and whether it may be one that goes on past the end. */
export let readType: i32 = 0;
export let readNumber: u32 = 0;
export let cut: bool = false;

/** The end of the placeholder that begins at `p` (a `[`), or 0. */
export function placeholderEnd(p: usize, end: usize): usize {
  cut = false;
  for (let type = 0; type < TYPE_COUNT; type++) {
    const name = typeName(type);
    let i = p + 1;
    let n = 0;
    while (n < name.length && i < end && <i32>load<u8>(i) == name.charCodeAt(n)) {
      i++;
      n++;
    }
    if (i == end) cut = true;
    if (n < name.length || i == end || load<u8>(i) != UNDERSCORE) continue;
    return numberEnd(type, i + 1, end);
  }
  return 0;
}

function numberEnd(type: i32, from: usize, end: usize): usize {
  let number: u32 = 0;
  let i = from;
  while (i < end && i - from < DIGITS_MAX && load<u8>(i) - 48 < 10)
    number = number * 10 + (load<u8>(i++) - 48);
  cut = i == end;
  if (cut || i == from || load<u8>(i) != CLOSE) return 0;
  readType = type;
  readNumber = number;
  return i + 1;
}

/** The first `[` in [p, end), or `end`. */
export function findOpen(p: usize, end: usize): usize {
  if (ASC_FEATURE_SIMD) {
    while (p + 16 <= end) {
      const mask = i8x16.bitmask(i8x16.eq(v128.load(p), i8x16.splat(<i8>OPEN)));
      if (mask) return p + ctz(mask);
      p += 16;
    }
  }
  while (p < end && load<u8>(p) != OPEN) p++;
  return p;
}
