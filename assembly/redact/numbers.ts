// Payment cards (ISO/IEC 7812: issuer range, length, Luhn), US social security numbers and IBANs (ISO 13616:
// length by country, mod 97). Cards and SSNs are readings of the chain that digits.ts has read.
import { reserve } from "../memory";
import { ALNUM, has, isDigit, UPPER } from "./chars";
import {
  count,
  digitsOf,
  endOf,
  lengthOf,
  S_DASH,
  S_DOT,
  S_SPACE,
  separatorOf,
  shaped,
  startOf,
  valueOf,
} from "./digits";
import { CREDIT_CARD, IBAN, US_SSN } from "./types";
import { at, back, found, joined } from "./view";
import { distance, says, W_CARD, W_ORDER, W_PHONE, W_SSN } from "./words";

const digits: usize = reserve(32);

/** Whether a number may end at `p`: no letter, digit or further part follows at once. */
export function mayEnd(p: usize): bool {
  const b = at(p);
  if (has(b, ALNUM) || b == 95 || b == 64 || b == 37) return false;
  if (b == 46 || b == 45 || b == 47 || b == 58) return !isDigit(at(p + 1));
  return true;
}

/** Whether exactly four digits and a space or hyphen stand before `p`. */
export function afterFour(p: usize): bool {
  const before = back(p, 1);
  if (before != 32 && before != 45) return false;
  for (let n: usize = 2; n <= 5; n++) if (!isDigit(back(p, n))) return false;
  return !isDigit(back(p, 6));
}

/** Copies the digits of the first `k` groups to `digits`; returns how many. */
function gather(k: i32): i32 {
  let n = 0;
  for (let i = 0; i < k; i++) {
    for (let p = startOf(i); p < endOf(i); p++) store<u8>(digits + n++, load<u8>(p) - 48);
  }
  return n;
}

function luhn(n: i32): bool {
  let sum: u32 = 0;
  for (let i = 0; i < n; i++) {
    let d = <u32>load<u8>(digits + n - 1 - i);
    if (i & 1) d = d > 4 ? 2 * d - 9 : 2 * d;
    sum += d;
  }
  return sum % 10 == 0;
}

function prefix(n: i32): u32 {
  let value: u32 = 0;
  for (let i = 0; i < n; i++) value = value * 10 + load<u8>(digits + i);
  return value;
}

const NOT_A_CARD: i32 = 0;
/** Too common a shape to be told from other numbers without a word beside it. */
const CARD_IF_SAID: i32 = 1;
const CARD: i32 = 2;

/** How an `n`-digit number reads by its issuer range (ISO/IEC 7812 ranges as the schemes publish them). */
function issuer(n: i32): i32 {
  const two = prefix(2);
  const three = prefix(3);
  const four = prefix(4);
  if (two >= 40 && two <= 49) return n == 16 || n == 19 ? CARD : n == 13 ? CARD_IF_SAID : NOT_A_CARD;
  if ((two >= 51 && two <= 55) || (four >= 2221 && four <= 2720)) return n == 16 ? CARD : NOT_A_CARD;
  if (two == 34 || two == 37) return n == 15 ? CARD : NOT_A_CARD;
  if (two == 36 || two == 38 || two == 39 || (three >= 300 && three <= 305) || three == 309) {
    return n == 14 ? CARD : n >= 16 && n <= 19 ? CARD_IF_SAID : NOT_A_CARD;
  }
  if (four >= 3528 && four <= 3589) return n == 16 ? CARD : n >= 17 && n <= 19 ? CARD_IF_SAID : NOT_A_CARD;
  if (four == 2131 || four == 1800) return n == 15 ? CARD : NOT_A_CARD;
  if (four == 6011 || (three >= 644 && three <= 649) || two == 65 || two == 62 || two == 60) {
    return n == 16 ? CARD : n >= 12 && n <= 19 ? CARD_IF_SAID : NOT_A_CARD;
  }
  if (four >= 2200 && four <= 2204) return n == 16 ? CARD : NOT_A_CARD;
  if (two == 50 || (two >= 56 && two <= 69) || two == 81 || two == 82 || four == 9792 || four == 604) {
    return n == 16 ? CARD : n >= 12 && n <= 19 ? CARD_IF_SAID : NOT_A_CARD;
  }
  return NOT_A_CARD;
}

/** Whether the first `k` groups are split as cards are: whole, in fours, 4-6-5, 4-6-4. */
function cardGroups(k: i32): bool {
  if (k == 1) return true;
  for (let i = 0; i < k - 1; i++) {
    const s = separatorOf(i);
    if (s != S_SPACE && s != S_DASH) return false;
  }
  if (shaped(0, k, "465") || shaped(0, k, "464")) return true;
  for (let i = 0; i < k - 1; i++) if (lengthOf(i) != 4) return false;
  return k >= 3 && lengthOf(k - 1) <= 7 && lengthOf(k - 1) >= 1;
}

/** True after a chain that is split like a card but is none: it must not be read as a telephone number. */
export let cardShaped: bool = false;

export function card(near: u32): bool {
  cardShaped = false;
  for (let k = min(count, 5); k >= 1; k--) {
    const n = digitsOf(k);
    if (n < 12 || n > 19 || !cardGroups(k)) continue;
    if (k > 1 && n >= 13) cardShaped = true;
    if (!mayEnd(endOf(k - 1))) continue;
    if (k < count && separatorOf(k - 1) != S_SPACE) continue;
    // The rest of 4-4-4-4, which was refused as a whole.
    if (n < 16 && k > 1 && afterFour(startOf(0))) continue;
    gather(k);
    const kind = issuer(n);
    if (kind == NOT_A_CARD || !luhn(n)) continue;
    const said = distance(near, W_CARD) != 0;
    if (kind == CARD_IF_SAID && !said && k == 1) continue;
    const other = distance(near, W_ORDER);
    if (k == 1 && other && other <= 2 && !said) continue;
    return found(startOf(0), endOf(k - 1), CREDIT_CARD);
  }
  return false;
}

/** Areas 000, 666 and 900–999, group 00 and serial 0000 were never issued (SSA, "Meaning of the numbers"). */
function issued(area: u32, group: u32, serial: u32): bool {
  return area != 0 && area != 666 && area < 900 && group != 0 && serial != 0;
}

/** True after a chain that reads 3-2-4. */
export let ssnShaped: bool = false;

export function ssn(near: u32): bool {
  ssnShaped = false;
  if (count >= 3 && shaped(0, 3, "324")) {
    const s = separatorOf(0);
    if (s != separatorOf(1) || (s != S_DASH && s != S_SPACE && s != S_DOT)) return false;
    ssnShaped = true;
    const to = endOf(2);
    if (!mayEnd(to)) return false;
    if (count > 3 && separatorOf(2) != S_SPACE) return false;
    if (s != S_DASH && count > 3 && distance(near, W_SSN) == 0) return false;
    if (s == S_DOT && distance(near, W_SSN) == 0) return false;
    if (says(near, W_PHONE, 1, W_SSN) && distance(near, W_SSN) == 0) return false;
    return issued(valueOf(0), valueOf(1), valueOf(2)) && found(startOf(0), to, US_SSN);
  }
  if (lengthOf(0) == 9 && distance(near, W_SSN) != 0) {
    if (!mayEnd(endOf(0)) || (count > 1 && separatorOf(0) != S_SPACE)) return false;
    const value = valueOf(0);
    return (
      issued(value / 1000000, (value / 10000) % 100, value % 10000) && found(startOf(0), endOf(0), US_SSN)
    );
  }
  return false;
}

// Country and length of its IBAN (SWIFT IBAN registry), four characters each.
const IBAN_LENGTHS =
  "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22DJ27DK18DO28EE20EG29ES24FI18FK18FO18FR27GB22GE22GI23GL18GR27GT28HN28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21LY25MC27MD24ME22MK19MN20MR27MT31MU30NI28NL18NO15OM23PK24PL28PS29PT25QA29RO24RS22RU33SA24SC31SD18SE24SI19SK24SM27SO23ST25SV28TL23TN24TR26UA29VA22VG24XK20YE30DZ26AO25BF28BJ28CF27CG27CI28CM27CV25GA27GQ27GW25IR26KM27MA28MG27ML28MZ25NE28SN28TD27TG28";

function ibanLength(a: u32, b: u32): i32 {
  for (let i = 0; i < IBAN_LENGTHS.length; i += 4) {
    if (<u32>IBAN_LENGTHS.charCodeAt(i) == a && <u32>IBAN_LENGTHS.charCodeAt(i + 1) == b) {
      return (IBAN_LENGTHS.charCodeAt(i + 2) - 48) * 10 + IBAN_LENGTHS.charCodeAt(i + 3) - 48;
    }
  }
  return 0;
}

/** An IBAN whose first check digit is at `p`: compact, or in fours with single spaces or hyphens. */
export function iban(p: usize): bool {
  const a = back(p, 2) & 0xdf;
  const b = back(p, 1) & 0xdf;
  if (!has(a, UPPER) || !has(b, UPPER) || joined(p - 2)) return false;
  if (!isDigit(at(p + 1))) return false;
  const length = ibanLength(a, b);
  if (length == 0) return false;
  let i = p + 2;
  let n = 4;
  // The number is what follows the check digits, then country and check digits, A = 10 … Z = 35.
  let rest: u32 = 0;
  let separator: u32 = 0;
  while (n < length) {
    let c = at(i);
    if (c == 0xc2 && at(i + 1) == 0xa0) {
      c = 32;
      i++;
    }
    if (c == 32 || c == 45) {
      if ((n & 3) != 0 || (separator != 0 && separator != c) || (n > 4 && separator == 0)) return false;
      separator = c;
      i++;
      c = at(i);
    } else if (separator && (n & 3) == 0) return false;
    if (isDigit(c)) rest = (rest * 10 + c - 48) % 97;
    else if (has(c & 0xdf, UPPER) && c >= 65) rest = (rest * 100 + (c & 0xdf) - 55) % 97;
    else return false;
    n++;
    i++;
  }
  if (has(at(i), ALNUM) || at(i) == 95) return false;
  rest = (rest * 100 + a - 55) % 97;
  rest = (rest * 100 + b - 55) % 97;
  rest = (rest * 100 + (load<u8>(p) - 48) * 10 + load<u8>(p + 1) - 48) % 97;
  return rest == 1 && found(p - 2, i, IBAN);
}
