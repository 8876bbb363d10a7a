// JSON escapes as the normaliser reads them: every one means something, a bad one a character that stands for no other.
// What refuses a body is json/scanner.ts; this also reads texts that no scanner has seen.
//
// Bounds: at most 12 bytes are looked at, none at or after `end`.
import { hex4 } from "../json/chars";

/** Bytes of the JSON escape at `from`: 2, 6, or 12 for a surrogate pair; 1 when it is cut short or none. */
export function escapeWidth(from: usize, end: usize): usize {
  const left = <i32>(end - from);
  if (left < 2) return 1;
  const letter = load<u8>(from + 1);
  if (letter != 0x75) return 2;
  if (left < 6) return 1;
  if (left < 12 || load<u16>(from + 6) != 0x755c) return 6;
  return (hex4(from + 2) & 0xfc00) == 0xd800 && (hex4(from + 8) & 0xfc00) == 0xdc00 ? 12 : 6;
}

/** The code point of the escape of `width` bytes at `from`; U+FFFD for a lone surrogate and for what is no escape. */
export function unescape(from: usize, width: usize): u32 {
  if (width == 1) return 0x5c;
  if (width == 12) return 0x10000 + ((hex4(from + 2) & 0x3ff) << 10) + (hex4(from + 8) & 0x3ff);
  if (width == 6) {
    const code = hex4(from + 2);
    return code < 0 || (code & 0xf800) == 0xd800 ? 0xfffd : code;
  }
  const letter: u32 = load<u8>(from + 1);
  switch (letter) {
    case 0x6e: // \n \r \t \f: all white space here
    case 0x72:
    case 0x74:
    case 0x66:
      return 32;
    case 0x62:
      return 8;
    default:
      return letter < 0x80 ? letter : 0xfffd;
  }
}
