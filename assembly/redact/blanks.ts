// What separates words and what is not seen, in UTF-8: white space as Unicode has it, and characters without a width that
// can stand within a word (soft hyphen, joiners, marks of direction, byte order marks, selectors, tags).
import { has, SPACE } from "./chars";

/** The bytes of the white space that begins with `a`, `b`, `c`; negative: of what is not seen there; 0: neither. */
export function blank(a: u32, b: u32, c: u32): i32 {
  if (a < 0x80) return has(a, SPACE) || a == 11 || a == 12 ? 1 : 0;
  switch (a) {
    case 0xc2: // U+0085, U+00A0; U+00AD
      if (b == 0x85 || b == 0xa0) return 2;
      return b == 0xad ? -2 : 0;
    case 0xcd: // U+034F
      return b == 0x8f ? -2 : 0;
    case 0xe1: // U+1680; U+180E
      if (b == 0x9a && c == 0x80) return 3;
      return b == 0xa0 && c == 0x8e ? -3 : 0;
    case 0xe2:
      return general(b, c);
    case 0xe3: // U+3000
      return b == 0x80 && c == 0x80 ? 3 : 0;
    case 0xef: // U+FE00 to U+FE0F, U+FEFF
      return (b == 0xb8 && c - 0x80 < 16) || (b == 0xbb && c == 0xbf) ? -3 : 0;
    case 0xf3: // U+E0000 to U+E0FFF
      return b == 0xa0 ? -4 : 0;
    default:
      return 0;
  }
}

/** U+2000 to U+207F. */
function general(b: u32, c: u32): i32 {
  if (b == 0x80) {
    if (c - 0x80 < 11 || c == 0xa8 || c == 0xa9 || c == 0xaf) return 3;
    return c - 0x8b < 5 || c - 0xaa < 5 ? -3 : 0;
  }
  if (b != 0x81) return 0;
  if (c == 0x9f) return 3;
  return c - 0xa0 < 16 ? -3 : 0;
}
