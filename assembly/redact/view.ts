// The window of decoded text that the detectors look at, and the match they report.
//
// `at` answers 0 past the end and, when more text may follow, notes that the decision starved. A decision that
// did not starve read nothing but bytes that are there, so it is the same however the text was cut.
//
//   low            trigger                       end
//    ┌──────────────┬─────────────────────────────┐
//    │ ≤ LOOK_BACK  │ ≤ LOOK_AHEAD                │   whole = nothing comes after end
//    └──────────────┴─────────────────────────────┘
import { ALNUM, has } from "./chars";
import { LOOK_BACK } from "./types";

export let low: usize = 0;
export let end: usize = 0;
export let whole: bool = false;
export let starved: bool = false;

/** Where the last match begins and ends, its type, and how it goes on past its end (a TAIL of tail.ts). */
export let matchFrom: usize = 0;
export let matchTo: usize = 0;
export let matchType: i32 = 0;
export let matchTail: i32 = 0;
export let matchTailLeft: u32 = 0;

export function setView(from: usize, to: usize, last: bool): void {
  low = from;
  end = to;
  whole = last;
}

export function setStarved(value: bool): void {
  starved = value;
}

export function at(p: usize): u32 {
  if (p < end) return load<u8>(p);
  if (!whole) starved = true;
  return 0;
}

/** The byte at `p - n`, or 0 before the beginning. */
export function back(p: usize, n: usize): u32 {
  return p >= low + n ? load<u8>(p - n) : 0;
}

/**
 * Whether a letter, digit or `_` stands before `p`, so that `p` is inside a word. The letter of a spelled-out
 * line end or tab does not count.
 */
export function joined(p: usize): bool {
  const b = back(p, 1);
  return (has(b, ALNUM) || b == 95) && !isSpelled(p);
}

/** Whether a line end or a tab is spelled out before `p` (`\\n` as two characters, as in quoted JSON or source). */
export function isSpelled(p: usize): bool {
  return isLineOrTab(back(p, 1)) && back(p, 2) == 92;
}

/** Whether a backslash makes `byte` a line end or a tab. */
export function isLineOrTab(byte: u32): bool {
  return byte == 110 || byte == 114 || byte == 116;
}

/** How far back a decision at `p` may read. */
export function floorOf(p: usize): usize {
  return p - low > <usize>LOOK_BACK ? p - <usize>LOOK_BACK : low;
}

export function found(from: usize, to: usize, type: i32, tail: i32 = 0, left: u32 = 0): bool {
  matchFrom = from;
  matchTo = to;
  matchType = type;
  matchTail = tail;
  matchTailLeft = left;
  return true;
}

/** Whether the ASCII literal stands at `p`. */
export function here(p: usize, text: string): bool {
  const len = text.length;
  const b = changetype<usize>(text);
  for (let i = 0; i < len; i++) {
    if (at(p + i) != <u32>load<u16>(b + ((<usize>i) << 1))) return false;
  }
  return true;
}
