// Character classes as one byte of flags per byte value (256 bytes), built once at start.
import { reserve } from "../memory";

export const DIGIT: u8 = 1;
export const UPPER: u8 = 2;
export const LOWER: u8 = 4;
export const HEX: u8 = 8;
/** `_` and `-`, which with letters and digits make base64url and most key alphabets. */
export const DASHES: u8 = 16;
/** `+` and `/`. */
export const BASE64: u8 = 32;
/** ASCII of an address's local part: letters, digits and `. _ % + -`. */
export const LOCAL: u8 = 64;
export const SPACE: u8 = 128;
export const ALPHA: u8 = UPPER | LOWER;
export const ALNUM: u8 = DIGIT | UPPER | LOWER;

const table: usize = build();

function mark(at: usize, text: string, flag: u8): void {
  for (let i = 0; i < text.length; i++) {
    const p = at + <usize>text.charCodeAt(i);
    store<u8>(p, load<u8>(p) | flag);
  }
}

function build(): usize {
  const at = reserve(256);
  mark(at, "0123456789", DIGIT | HEX | LOCAL);
  mark(at, "ABCDEFGHIJKLMNOPQRSTUVWXYZ", UPPER | LOCAL);
  mark(at, "abcdefghijklmnopqrstuvwxyz", LOWER | LOCAL);
  mark(at, "abcdefABCDEF", HEX);
  mark(at, "_-", DASHES);
  mark(at, "+/", BASE64);
  mark(at, "._%+-", LOCAL);
  mark(at, " \t\r\n", SPACE);
  return at;
}

export function has(byte: u32, flags: u8): bool {
  return (load<u8>(table + <usize>(byte & 255)) & flags) != 0;
}

export function isDigit(byte: u32): bool {
  return byte - 48 < 10;
}
