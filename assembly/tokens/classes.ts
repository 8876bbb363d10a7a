// Decodes one UTF-8 character and tells its class, as far as the tokenizers' split patterns tell characters
// apart. The two-stage table comes with the vocabulary (scripts/unicode-classes.ts); its first 128 entries are
// ASCII, so an ASCII class is one load.
//
// Malformed bytes are what a WHATWG decoder makes of them: each maximal subpart is one U+FFFD, which is OTHER.
// That bounds a character to the bytes before `end`, whatever they hold.

export const OTHER: u32 = 0;
export const UPPER: u32 = 1; // Lu, Lt
export const LOWER: u32 = 2; // Ll
export const LETTER: u32 = 3; // Lm, Lo
export const MARK: u32 = 4; // M
export const NUMBER: u32 = 5; // N
export const SPACE: u32 = 6; // \s but CR and LF
export const NEWLINE: u32 = 7; // CR, LF

/** Class (bits 0 … 2), MALFORMED, and length in bytes (bits 4 …) of one character. */
export type Char = u32;
const MALFORMED: u32 = 8;

let stage1: usize = 0;
let stage2: usize = 0;
/** Set when `charAt` meets malformed bytes; the caller clears it. */
let malformed: bool = false;

export function useClasses(first: usize, second: usize): void {
  stage1 = first;
  stage2 = second;
}

export function sawMalformed(): bool {
  return malformed;
}

export function clearMalformed(): void {
  malformed = false;
}

export function classOf(char: Char): u32 {
  return char & 7;
}

export function lengthOf(char: Char): u32 {
  return char >> 4;
}

export function isMalformed(char: Char): bool {
  return (char & MALFORMED) != 0;
}

/** The character at `p` < `end`. */
export function charAt(p: usize, end: usize): Char {
  const lead = <u32>load<u8>(p);
  if (lead < 0x80) return <u32>load<u8>(stage2 + lead) | 16;
  return wideAt(p, end, lead);
}

function wideAt(p: usize, end: usize, lead: u32): Char {
  if (lead < 0xe0) {
    if (lead < 0xc2 || end - p < 2) return broken(1);
    const a = <u32>load<u8>(p, 1) ^ 0x80;
    if (a > 0x3f) return broken(1);
    return lookUp(((lead & 31) << 6) | a) | 32;
  }
  if (end - p < 2) return broken(1);
  const a = <u32>load<u8>(p, 1) ^ 0x80;
  if (lead < 0xf0) {
    if (a > 0x3f || (lead == 0xe0 && a < 0x20) || (lead == 0xed && a > 0x1f)) return broken(1);
    if (end - p < 3) return broken(2);
    const b = <u32>load<u8>(p, 2) ^ 0x80;
    if (b > 0x3f) return broken(2);
    return lookUp(((lead & 15) << 12) | (a << 6) | b) | 48;
  }
  if (lead > 0xf4 || a > 0x3f || (lead == 0xf0 && a < 0x10) || (lead == 0xf4 && a > 0x0f)) return broken(1);
  if (end - p < 3) return broken(2);
  const b = <u32>load<u8>(p, 2) ^ 0x80;
  if (b > 0x3f) return broken(2);
  if (end - p < 4) return broken(3);
  const c = <u32>load<u8>(p, 3) ^ 0x80;
  if (c > 0x3f) return broken(3);
  return lookUp(((lead & 7) << 18) | (a << 12) | (b << 6) | c) | 64;
}

function lookUp(codePoint: u32): u32 {
  const block = <usize>load<u8>(stage1 + (codePoint >> 7));
  return <u32>load<u8>(stage2 + ((block << 7) | (codePoint & 127)));
}

function broken(length: u32): Char {
  malformed = true;
  return (length << 4) | MALFORMED | OTHER;
}
