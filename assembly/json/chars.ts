// Escapes and white space, for the scanner and for those who read its strings. Every load lies in [p, stop), or
// in the bytes that the caller has checked.

/** The letters after a backslash that stand for one character, as bits from 64 on: \ b f n r t. */
const SIMPLE: u64 =
  (1 << (92 - 64)) |
  (1 << (98 - 64)) |
  (1 << (102 - 64)) |
  (1 << (110 - 64)) |
  (1 << (114 - 64)) |
  (1 << (116 - 64));

/** The first byte in [p, stop) that is not white space; or `stop`. */
export function skipSpace(p: usize, stop: usize): usize {
  for (; p < stop; p++) {
    const c = load<u8>(p);
    if (c > 32 || (c != 32 && c != 10 && c != 13 && c != 9)) return p;
  }
  return p;
}

export function isSimple(c: u32): bool {
  return c == 34 || c == 47 || (c - 64 < 64 && ((SIMPLE >> (c - 64)) & 1) != 0);
}

/** The value of a hexadecimal digit, or -1. */
export function hexValue(c: u32): i32 {
  if (c - 48 <= 9) return c - 48;
  const letter = (c | 32) - 97;
  return letter < 6 ? letter + 10 : -1;
}

/** Four hexadecimal digits at `p`, or -1. */
export function hex4(p: usize): i32 {
  const a = hexValue(load<u8>(p));
  const b = hexValue(load<u8>(p, 1));
  const c = hexValue(load<u8>(p, 2));
  const d = hexValue(load<u8>(p, 3));
  return (a | b | c | d) < 0 ? -1 : (a << 12) | (b << 8) | (c << 4) | d;
}

/** The length of the whole valid escape (a surrogate pair is one) at `p`; 0 if it is cut off or invalid. */
export function escapeLength(p: usize, stop: usize): i32 {
  if (p + 2 > stop) return 0;
  const c: u32 = load<u8>(p, 1);
  if (c != 117) return isSimple(c) ? 2 : 0;
  if (p + 6 > stop) return 0;
  const unit = hex4(p + 2);
  if (unit < 0 || (unit & 0xfc00) == 0xdc00) return 0;
  if ((unit & 0xfc00) != 0xd800) return 6;
  if (p + 12 > stop || load<u16>(p + 6) != 0x755c) return 0;
  const low = hex4(p + 8);
  return low >= 0 && (low & 0xfc00) == 0xdc00 ? 12 : 0;
}
