// A chain: groups of digits with short separators between them, as numbers are written for people. Cards,
// social security numbers and telephone numbers are readings of a chain's prefix.
//
//   start[k] u32 | length[k] u32 | separator[k] u32 (kinds of what follows group k, before group k+1)
import { reserve } from "../memory";
import { isDigit } from "./chars";
import { at } from "./view";

export const S_SPACE: u32 = 1;
export const S_DASH: u32 = 2;
export const S_DOT: u32 = 4;
export const S_SLASH: u32 = 8;
export const S_OPEN: u32 = 16;
export const S_CLOSE: u32 = 32;

const GROUPS_MAX: i32 = 8;
const GROUP_DIGITS_MAX: usize = 24;
const groups: usize = reserve(16 * (GROUPS_MAX + 1));

export let count: i32 = 0;

export function startOf(k: i32): usize {
  return <usize>load<u32>(groups + <usize>(k << 4));
}

export function lengthOf(k: i32): i32 {
  return load<i32>(groups + <usize>(k << 4), 4);
}

export function separatorOf(k: i32): u32 {
  return load<u32>(groups + <usize>(k << 4), 8);
}

export function endOf(k: i32): usize {
  return startOf(k) + lengthOf(k);
}

/** Digits in the first `k` groups. */
export function digitsOf(k: i32): i32 {
  let sum = 0;
  for (let i = 0; i < k; i++) sum += lengthOf(i);
  return sum;
}

/** The number that group `k` (at most 9 digits) writes. */
export function valueOf(k: i32): u32 {
  let value: u32 = 0;
  for (let i = startOf(k); i < endOf(k); i++) value = value * 10 + (load<u8>(i) - 48);
  return value;
}

/** Whether groups `first`…k−1 have the lengths that are the digits of `shape`. */
export function shaped(first: i32, k: i32, shape: string): bool {
  if (k - first != shape.length) return false;
  for (let i = first; i < k; i++) if (lengthOf(i) != shape.charCodeAt(i - first) - 48) return false;
  return true;
}

/** Whether all separators among groups `first`…k−1 are alike. */
export function uniform(first: i32, k: i32): bool {
  for (let i = first + 1; i < k - 1; i++) if (separatorOf(i) != separatorOf(first)) return false;
  return true;
}

/** Reads the chain that starts at the digit at `p`. */
export function readChain(p: usize): void {
  count = 0;
  for (;;) {
    const start = p;
    while (p - start < GROUP_DIGITS_MAX && isDigit(at(p))) p++;
    const slot = groups + <usize>(count << 4);
    store<u32>(slot, <u32>start);
    store<u32>(slot, <u32>(p - start), 4);
    store<u32>(slot, 0, 8);
    count++;
    if (count == GROUPS_MAX || p - start == GROUP_DIGITS_MAX) return;
    const next = afterSeparator(p);
    if (next == 0) return;
    store<u32>(slot, kinds, 8);
    p = next;
  }
}

let kinds: u32 = 0;

/** Where the digits after the separator at `p` begin, or 0 when none follow; sets `kinds`. */
function afterSeparator(p: usize): usize {
  kinds = 0;
  for (let n = 0; n < 3; n++) {
    const b = at(p);
    if (isDigit(b)) return n > 0 && allowed(kinds) ? p : 0;
    let kind: u32 = 0;
    let len: usize = 1;
    if (b == 32) kind = S_SPACE;
    else if (b == 45) kind = S_DASH;
    else if (b == 46) kind = S_DOT;
    else if (b == 47) kind = S_SLASH;
    else if (b == 40) kind = S_OPEN;
    else if (b == 41) kind = S_CLOSE;
    else if (b == 0xc2 && at(p + 1) == 0xa0) {
      kind = S_SPACE;
      len = 2;
    } else if (b == 0xe2 && at(p + 1) == 0x80) {
      const c = at(p + 2);
      if (c == 0xaf || c == 0x89) kind = S_SPACE;
      else if (c - 0x90 <= 3) kind = S_DASH;
      len = 3;
    }
    if (kind == 0) return 0;
    // A space may stand on both sides of a dash or slash; nothing else repeats.
    if ((kinds & kind) != 0 && !(kind == S_SPACE && n == 2 && (kinds & (S_DASH | S_SLASH)) != 0)) return 0;
    kinds |= kind;
    p += len;
  }
  return isDigit(at(p)) && allowed(kinds) ? p : 0;
}

function allowed(k: u32): bool {
  const punctuation = popcnt(k & ~S_SPACE);
  if (punctuation <= 1) return (k & S_DOT) == 0 || k == S_DOT;
  // ")-" "-(" and the "(0)" of +44 (0)20, which is read as ")" here.
  return punctuation == 2 && (k & (S_OPEN | S_CLOSE)) != 0;
}
