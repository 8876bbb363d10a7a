// Writes what stands in for a match. Every replacement is ASCII without quotes, backslashes or controls (a mask
// repeats only characters that the match's type allows), so it is the same inside a JSON string and outside.
import { numberOf } from "./answer";
import { ALNUM, has } from "./chars";
import { put, putByte, putHex, putNumber, putText } from "./output";
import { API_KEY, CREDIT_CARD, EMAIL, HASH, IBAN, IP, MASK, PHONE, typeName, US_SSN } from "./types";

/** Hexadecimal digits of `hash`: 48 bits. */
const HASH_DIGITS: i32 = 12;
const KEPT: i32 = 4;

/**
 * Puts out what `action` makes of a match with `hash`. [from, to) is its text, or 0 when the match was too long to
 * be held; `last` then has its last four bytes, the first of them lowest. Answers whether what was put out tells the
 * value from others of its type: false when numbers, or the vault of reversible ones, are used up.
 */
export function putReplacement(
  answer: usize,
  action: u8,
  type: i32,
  hash: u64,
  from: usize,
  to: usize,
  last: u32,
): bool {
  if (action == MASK) {
    putMask(type, from, to, last);
    return true;
  }
  let known = true;
  putByte(91);
  putText(typeName(type));
  if (action == HASH) {
    putByte(58);
    putHex(hash >> 16, HASH_DIGITS);
  } else {
    const number = numberOf(answer, type, hash, from, to);
    known = number != 0;
    if (known) {
      putByte(95);
      putNumber(number);
    }
  }
  putByte(93);
  return known;
}

/** Letters and digits become `*`; an address keeps its first letter and its domain, a number its last four. */
function putMask(type: i32, from: usize, to: usize, last: u32): void {
  if (type == EMAIL && from) {
    let sign = to - 1;
    while (load<u8>(sign) != 64 && load<u8>(sign) != 37 && load<u8>(sign) != 38) sign--;
    putByte(load<u8>(from) < 0x80 ? load<u8>(from) : 42);
    putText("***");
    put(sign, to);
    return;
  }
  if (from && (type == PHONE || type == CREDIT_CARD || type == IBAN || type == US_SSN)) {
    let keep = to;
    for (let n = 0; n < KEPT && keep > from; ) if (has(load<u8>(--keep), ALNUM)) n++;
    for (let p = from; p < to; p++) {
      const b = <u32>load<u8>(p);
      putByte(p < keep && has(b, ALNUM) ? 42 : b);
    }
    return;
  }
  if (from && type == IP) {
    for (let p = from; p < to; p++) putByte(has(load<u8>(p), ALNUM) ? 42 : load<u8>(p));
    return;
  }
  putText("****");
  if (type != API_KEY || last == 0) return;
  for (let i = 0; i < KEPT; i++) putByte((last >> ((<u32>i) << 3)) & 255);
}
