// Telephone numbers, as readings of a chain of digit groups.
//
// A shape that says by itself what it is (a country code after + or 00, North American 3-3-4, a trunk 0 with
// separators, a bracketed area code) needs no word beside it; any other needs one such as "call" or "Tel." near.
// Dates, decimals, thousands, section numbers and card-like groups are never telephone numbers. Of several
// prefixes of the chain that read as a number, the longest wins. Country codes: ITU-T E.164.
import { isDigit } from "./chars";
import {
  count,
  digitsOf,
  endOf,
  lengthOf,
  S_CLOSE,
  S_DASH,
  S_DOT,
  S_OPEN,
  S_SLASH,
  S_SPACE,
  separatorOf,
  shaped,
  startOf,
  uniform,
  valueOf,
} from "./digits";
import { afterFour, mayEnd } from "./numbers";
import { PHONE } from "./types";
import { at, back, found, here, joined } from "./view";
import { distance, says, W_ORDER, W_PHONE, W_VERSION } from "./words";

// Two-digit codes with the most digits that their numbers have, code included; others: 15.
const LONGEST =
  "20122711301231113211331134113611391340114111431344124510461347104811491351115213531154135513561157125812601261116213631264126510661181128212841286139012911292129311941195129812";

let plus: bool = false;
let bracket: bool = false;
let said: bool = false;
let warned: bool = false;

export function phone(near: u32): bool {
  const p = startOf(0);
  let from = p;
  let before = back(from, 1);
  bracket = before == 40;
  if (bracket) before = back(--from, 1);
  plus = before == 43;
  if (plus) {
    before = back(--from, 1);
    if (before == 40 && !bracket) {
      before = back(--from, 1);
      bracket = true;
    }
  }
  if (!mayBegin(from, before)) return false;

  said = says(near, W_PHONE, 4, W_ORDER);
  // The middle of 8 045 311 447: its beginning was refused.
  if (!said && !plus && !bracket && lengthOf(0) == 3 && isThousands(count) && afterDigit(from)) return false;
  const order = distance(near, W_ORDER);
  const version = distance(near, W_VERSION);
  warned = !said && ((order != 0 && order <= 2) || (version != 0 && version <= 2));

  for (let k = count; k >= 1; k--) {
    const n = digitsOf(k);
    if (n > 17) continue;
    if (n < 7) return false;
    if (!reads(k, n)) continue;
    if (k < count && !mayBeFollowed(k)) continue;
    // The bracket is a part of the number only when it closes within it.
    const start = bracket && !closes(k) ? p - (plus && load<u8>(p - 1) == 43 ? 1 : 0) : from;
    const to = extension(endOf(k - 1));
    if (to == 0) continue;
    return found(start, to, PHONE);
  }
  return false;
}

/** Whether a number may begin at `from`, behind the byte `before`. */
function mayBegin(from: usize, before: u32): bool {
  if (joined(from)) return false;
  if (before == 35 || before == 36 || before == 47 || before == 46 || before == 37 || before == 94)
    return false;
  // £, €, ¥ and §.
  if (before == 0xa3 || before == 0xa7 || before == 0xa5 || (before == 0xac && back(from, 2) == 0x82))
    return false;
  if (plus) return true;
  if (before == 45) return false;
  if (isDigit(back(from, 2)) && (before == 58 || before == 44) && !isRow(from)) return false;
  // The middle of 4-4-4-4: the chain was refused as a whole.
  return !(lengthOf(0) == 4 && afterFour(from));
}

/** Whether a digit and a space, as between thousands, stand before `p`. */
function afterDigit(p: usize): bool {
  const b = back(p, 1);
  if (b == 32) return isDigit(back(p, 2));
  if (b == 0xa0 && back(p, 2) == 0xc2) return isDigit(back(p, 3));
  return (b == 0xaf || b == 0x89) && back(p, 2) == 0x80 && back(p, 3) == 0xe2 && isDigit(back(p, 4));
}

/** A comma-separated row may put a number right behind another field; thousands may not. */
function isRow(from: usize): bool {
  return back(from, 1) == 44 && (lengthOf(0) > 3 || count >= 3);
}

function closes(k: i32): bool {
  for (let i = 0; i < k - 1; i++) if ((separatorOf(i) & S_CLOSE) != 0) return true;
  return at(endOf(k - 1)) == 41 && !plus;
}

/** Whether the groups after group k−1 may belong to something else. */
function mayBeFollowed(k: i32): bool {
  const s = separatorOf(k - 1);
  return s == S_SPACE || s == (S_SPACE | S_DASH) || s == (S_SPACE | S_SLASH) || s == (S_SPACE | S_OPEN);
}

function reads(k: i32, n: i32): bool {
  if (isDate(k)) return false;
  if (k == 2 && separatorOf(0) == S_DOT && !(bracket && lengthOf(0) == 3)) return false;
  if (plus) return international(k, n, 0);
  if (isBinary(k)) return false;
  if (lengthOf(0) >= 2 && load<u8>(startOf(0)) == 48 && load<u8>(startOf(0) + 1) == 48) {
    return !warned && international(k, n, 2);
  }
  if (northAmerican(k)) return !warned || k > 1;
  if (warned || inFours(k)) return false;
  if (bracket) return bracketed(k, n);
  if (load<u8>(startOf(0)) == 48 && trunk(k, n)) return true;
  if (national(k, n)) return true;
  return said && free(k, n);
}

/** A country code and 7 to 13 digits; `skip` digits of exit code come first. */
function international(k: i32, n: i32, skip: i32): bool {
  const total = n - skip;
  if (total < 8 || total > 15) return false;
  let code: u32 = 0;
  let seen = 0;
  for (let i = 0; i < k && seen < skip + 3; i++) {
    for (let p = startOf(i); p < endOf(i) && seen < skip + 3; p++) {
      if (seen++ >= skip) code = code * 10 + (load<u8>(p) - 48);
    }
  }
  const trunkZero = hasTrunkZero(k) ? 1 : 0;
  const one = code / 100;
  if (one == 1) {
    // A bare 001… is more often a padded number; +1 says it itself.
    return total == 11 && (skip == 0 || k > 1 || said) && (k == 1 || lengthOf(k - 1) >= 4 || k > 3);
  }
  if (one == 7) return total == 11;
  // 00 is the exit code of Europe; elsewhere an unbroken run is more often a padded account number.
  if (skip && k == 1 && !said && (code / 10 < 30 || code / 10 > 49)) return false;
  const longest = longestOf(code / 10);
  if (longest == 0) return isThree(code) && (lengthOf(k - 1) > 1 || total <= 12);
  return total <= longest + trunkZero && lengthOf(k - 1) > 1;
}

function hasTrunkZero(k: i32): bool {
  for (let i = 1; i < k; i++) {
    if (lengthOf(i) == 1 && (separatorOf(i - 1) & S_OPEN) != 0) return true;
    if ((separatorOf(i - 1) & S_OPEN) != 0 && load<u8>(startOf(i)) == 48) return true;
  }
  return false;
}

function longestOf(code: u32): i32 {
  for (let i = 0; i < LONGEST.length; i += 4) {
    const have = (LONGEST.charCodeAt(i) - 48) * 10 + LONGEST.charCodeAt(i + 1) - 48;
    if (<u32>have == code) return (LONGEST.charCodeAt(i + 2) - 48) * 10 + LONGEST.charCodeAt(i + 3) - 48;
  }
  return 0;
}

/** Three-digit country codes come in whole tens. */
function isThree(code: u32): bool {
  const ten = code / 10;
  if (ten >= 21 && ten <= 29) return ten != 27 && ten != 28;
  if (ten == 35 || ten == 37 || ten == 38 || ten == 42 || ten == 50 || ten == 59) return true;
  if (ten >= 67 && ten <= 69) return true;
  return ten == 80 || ten == 85 || ten == 87 || ten == 88 || ten == 96 || ten == 97 || ten == 99;
}

/** 3-3-4 with one kind of separator or brackets, with or without a leading 1 (NANP). */
function northAmerican(k: i32): bool {
  const first = k == 4 && shaped(0, 1, "1") ? 1 : 0;
  if (!shaped(first, k, "334")) {
    return k == 2 && bracket && shaped(0, 2, "37") && (separatorOf(0) & S_CLOSE) != 0;
  }
  const a = separatorOf(first);
  const b = separatorOf(first + 1);
  if ((b & ~(S_SPACE | S_DASH | S_DOT)) != 0) return false;
  const bracketedArea = (a & S_CLOSE) != 0 && (bracket || first == 1);
  if (first == 1 && (separatorOf(0) & S_DOT) != 0 && b != S_DOT) return false;
  if (!bracketedArea && a != b && !(a == S_SLASH && b == S_DASH) && !(a == S_SPACE && b == S_DASH))
    return false;
  const area = load<u8>(startOf(first));
  const exchange = load<u8>(startOf(first + 1));
  if (bracketedArea || said) return true;
  if (a == S_SPACE && b == S_SPACE) return !warned && area >= 50 && exchange >= 50;
  return area >= 50;
}

/** An area code in brackets and 6 to 9 digits more; a year in brackets is a citation. */
function bracketed(k: i32, n: i32): bool {
  if (k < 2 || n < 8 || n > 13 || (separatorOf(0) & S_CLOSE) == 0) return false;
  const area = lengthOf(0);
  if (area < 2 || area > 6) return false;
  if (area == 4 && isYear(valueOf(0)) && !said) return false;
  for (let i = 1; i < k; i++) if (lengthOf(i) < 2 || (separatorOf(i) & S_DOT) != 0) return false;
  return uniform(1, k);
}

/** A trunk 0, an area, and the rest in groups of at least two: 9 to 12 digits. */
function trunk(k: i32, n: i32): bool {
  if (n < 9 || n > 12) return false;
  if (k == 1) {
    if (said) return true;
    const second = load<u8>(startOf(0) + 1);
    const third = load<u8>(startOf(0) + 2);
    if (n == 11) {
      // UK mobiles 071–079, German 015–017, Japanese and Korean 0x0.
      if (second == 55 && third != 48) return true;
      return (second == 49 && third - 53 <= 2) || (third == 48 && second >= 55);
    }
    return (
      n == 10 && (second == 54 || second == 55 || second == 52) && third >= 49 && back(startOf(0), 1) != 34
    );
  }
  const area = lengthOf(0);
  if (area < 2 || area > 5) return k == 2 && area == 6 && said;
  for (let i = 1; i < k; i++) if (lengthOf(i) < 2 || lengthOf(i) > 8) return false;
  if (!uniform(1, k)) return false;
  for (let i = 0; i < k - 1; i++) {
    const s = separatorOf(i);
    if ((s & (S_OPEN | S_CLOSE)) != 0) return false;
    if ((s & S_DOT) != 0 && k < 4) return said;
  }
  return !(k >= 3 && lengthOf(0) == 2 && lengthOf(1) == 2 && lengthOf(2) == 4 && isYear(valueOf(2)));
}

/** National shapes without trunk 0 that are rare otherwise. */
function national(k: i32, n: i32): bool {
  const lead = load<u8>(startOf(0));
  if (k == 1 && n == 11 && lead == 49 && load<u8>(startOf(0) + 1) >= 51) return back(startOf(0), 1) >= 0x80;
  const last = k > 1 ? separatorOf(k - 2) : 0;
  if (n == 11 && k > 1 && lead == 56 && (shaped(0, k, "13322") || shaped(0, k, "1334"))) return true;
  if (n == 11 && shaped(0, k, "344") && lead == 49 && load<u8>(startOf(0) + 1) >= 51) return uniform(0, k);
  if (n == 10 && shaped(0, k, "55") && lead >= 54)
    return separatorOf(0) == S_SPACE || separatorOf(0) == S_DASH;
  if (last != S_DASH || k != 3) return false;
  return (shaped(0, k, "254") && load<u8>(startOf(1)) == 57) || (shaped(0, k, "244") && said);
}

/** Any grouping, when the words before say that a telephone number comes. */
function free(k: i32, n: i32): bool {
  if (n > 13) return false;
  if (k == 1) return n >= 7 && n <= 12;
  for (let i = 1; i < k; i++) {
    if (lengthOf(i) < 2) return false;
    if ((separatorOf(i - 1) & S_DOT) != 0 && k < 3) return false;
  }
  if (isThousands(k)) return k == 3 && lengthOf(0) == 3 && load<u8>(startOf(0)) >= 54;
  return uniform(1, k);
}

function isThousands(k: i32): bool {
  const s = separatorOf(0);
  if (s != S_SPACE && s != S_DOT) return false;
  for (let i = 1; i < k; i++) if (lengthOf(i) != 3) return false;
  return uniform(0, k);
}

/** 4-4-4-4 and longer: cards, serial numbers, keys. */
function inFours(k: i32): bool {
  if (k < 4) return false;
  for (let i = 0; i < 4; i++) if (lengthOf(i) != 4) return false;
  return true;
}

function isBinary(k: i32): bool {
  for (let i = 0; i < k; i++) {
    for (let p = startOf(i); p < endOf(i); p++) if (load<u8>(p) > 49) return false;
  }
  return true;
}

function isYear(value: u32): bool {
  return value >= 1900 && value <= 2099;
}

/** Day, month and year in any order, with or without what comes after. */
function isDate(k: i32): bool {
  if (k < 3 || plus) return false;
  const s = separatorOf(0);
  if (s != separatorOf(1) || (s != S_DASH && s != S_DOT && s != S_SLASH)) return false;
  const a = lengthOf(0);
  const b = lengthOf(1);
  const c = lengthOf(2);
  if (a == 4 && b <= 2 && c <= 2) return isYear(valueOf(0));
  return a <= 2 && b <= 2 && c == 4 && isYear(valueOf(2));
}

/** The end of the number with an extension ("x123", " ext. 123") if one follows `p`; 0 when it may not end. */
function extension(p: usize): usize {
  let i = p;
  if (at(i) == 32) i++;
  let digits: usize = 0;
  if (at(i) == 120 || at(i) == 88) digits = i + 1;
  else if (here(i, "ext") || here(i, "Ext")) digits = at(i + 3) == 46 ? i + 4 : i + 3;
  if (digits) {
    if (at(digits) == 32) digits++;
    let to = digits;
    while (to - digits < 7 && isDigit(at(to))) to++;
    if (to > digits && to - digits < 7 && mayEnd(to)) return to;
  }
  return mayEnd(p) ? p : 0;
}
