// What opens a gate (views-gate.ts), given the masks and counts of blocks of 16 bytes: shared by the pass over bytes and
// the SIMD pass (views-gate-simd.ts), so that both know one rule.
//
// Bound: every function here takes a fixed number of steps.

export const GATE_LEET: u32 = 1;
export const GATE_SPACED: u32 = 2;
export const GATE_ROT13: u32 = 4;
export const GATE_REVERSED: u32 = 8;
export const GATE_ESCAPES: u32 = 16;
export const GATE_CODES: u32 = 32;
export const GATE_RENDERED: u32 = 64;

/** Within so many places of words there is markup: less is a product (`a*b`) or a capital. */
export const MARKS_MIN: i32 = 3;

/** The gates that a window opens: `open` by what was found somewhere, and others by what was counted in all of it. */
export function opened(open: u32, spaced: i32, forward: i32, backward: i32, escapes: i32, marks: i32): u32 {
  if (spaced >= 2) open |= GATE_SPACED;
  if (backward >= 2 && backward * 2 > forward * 3) open |= GATE_REVERSED;
  if (escapes >= 3) open |= GATE_ESCAPES;
  if (marks >= MARKS_MIN) open |= GATE_RENDERED;
  return open;
}

/** Digits and signs of leetspeak beside letters; those amid letters, or two of them before two, count twice. */
export function oddsIn(letter: u32, odd: u32): i32 {
  if (odd == 0) return 0;
  return (
    popcnt(odd & (letter >> 1) & ((letter << 1) | (letter >> 2))) +
    popcnt(odd & (odd >> 1) & (letter << 1) & (letter >> 2)) +
    popcnt(odd & ((letter >> 1) | (letter << 1)))
  );
}

/** Points of `oddsIn` within 64 bytes that open the gate: two letters of the middle of words, or what is as odd. */
const LEET_MIN: u32 = 4;

/** Whether the last four blocks, whose `oddsIn` are the bytes of `recent`, have so many. */
export function isLeet(recent: u32): bool {
  return (recent * 0x01010101) >> 24 >= LEET_MIN;
}

/**
 * Lone characters of two bytes, or of three, with two more before them at equal distance, 1 to 3 bytes between them; as
 * `loneLetters` in views-gate.ts. Counted are those of which both neighbours are known.
 */
export function loneWide(last: u32, high: u32): i32 {
  const wide = last | (high << 16);
  const two = wide & (wide >> 1);
  const begins = ~(wide << 1);
  const pair = two & begins & ~(wide >> 2);
  const triple = two & begins & (wide >> 2) & ~(wide >> 3);
  return (
    popcnt(pair & (thirdsAt(pair, 3) | thirdsAt(pair, 4) | thirdsAt(pair, 5)) & 0x3fffc000) +
    popcnt(triple & (thirdsAt(triple, 4) | thirdsAt(triple, 5) | thirdsAt(triple, 6)) & 0x1fffe000)
  );
}

/** Where two of `lone` are at this distance and twice as far before. */
function thirdsAt(lone: u32, distance: u32): u32 {
  return (lone << distance) & (lone << (2 * distance));
}

/** `%` and a hexadecimal digit, `&` and a letter or `#`, a backslash and `x` or `u`. */
export function begins(sign: u32, next: u32): bool {
  if (sign == 0x25) return next - 48 < 10 || next - 97 < 6;
  if (sign == 0x26) return next == 0x23 || next - 97 < 26;
  return sign == 0x5c && (next == 0x78 || next == 0x75);
}

export function isCode(hex: u32, dots: u32, gap: u32): bool {
  return ((hex | gap) == 0xffff || (dots | gap) == 0xffff) && gap != 0 && gap != 0xffff;
}

/** Within 64 bytes three mirrored digraphs and at most one as it should be: one reversed sentence in a long text. */
export function isMirrored(right: u32, wrong: u32): bool {
  return (right * 0x01010101) >> 24 <= 1 && (wrong * 0x01010101) >> 24 >= 3;
}

/** Whether r g n b v outnumber e t a o i, given the counts of the last blocks as bytes. */
export function isTurned(plain: u32, rot: u32): bool {
  const rots = <i32>(((rot << 8) * 0x01010101) >> 24);
  return rots >= 9 && rots * 4 > <i32>(((plain << 8) * 0x01010101) >> 24) * 7;
}
